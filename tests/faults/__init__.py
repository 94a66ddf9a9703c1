"""Upstreams that misbehave, byte by byte, and what the proxy makes of it; the soak runs the same in full."""
