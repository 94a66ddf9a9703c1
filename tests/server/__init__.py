"""The hardened server: connections, limits, TLS, and its end."""
