"""Chooses the side that answers a request, and learns from the side that does not."""
