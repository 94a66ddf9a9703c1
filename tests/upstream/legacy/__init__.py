"""The client of the legacy server."""
