"""Judges calls by the OpenAPI descriptions of the new systems."""
