"""`michiq-proxy explain`: what happened to one request."""
