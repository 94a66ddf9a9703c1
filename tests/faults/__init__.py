"""Upstreams that misbehave, byte by byte, and what the proxy makes of it; `tests/soak` runs the same at full size."""
