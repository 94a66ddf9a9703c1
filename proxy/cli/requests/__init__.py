"""`michiq-proxy requests`: which requests a client's complaint may be about."""
