"""Schemathesis, told how to get further than the door."""
