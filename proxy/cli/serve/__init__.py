"""`michiq-proxy serve`: runs the proxy."""
