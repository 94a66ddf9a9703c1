"""Calls judged by the OpenAPI descriptions."""
