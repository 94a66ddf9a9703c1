"""Requests that the legacy server answers."""
