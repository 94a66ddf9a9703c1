"""The proxy, killed by kill -9 at named points, and what is left when it starts again."""
