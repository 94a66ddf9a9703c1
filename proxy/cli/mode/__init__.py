"""`michiq-proxy mode`: who answers each route."""
