"""`michiq-proxy routes`: every legacy route, and what an operator asks about them."""
