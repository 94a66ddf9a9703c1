"""`michiq-proxy clients`: who still calls which route."""
