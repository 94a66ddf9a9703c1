"""`michiq-proxy audit`: who did what."""
