"""`michiq-proxy sandbox`: the systems around the proxy, for trying it out."""
