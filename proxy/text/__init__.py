"""Reads texts: extraction, token estimates, passages."""
