"""What the proxy reads out of texts: extraction, token estimates, passages."""
