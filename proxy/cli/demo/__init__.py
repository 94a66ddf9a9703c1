"""`michiq-proxy demo`: the proxy in front of the sandbox."""
