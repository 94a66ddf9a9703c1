"""Reads a request's body: forms, their parts and part headers."""
