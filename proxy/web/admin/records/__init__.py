"""Serves the records of the past: audit, processes, requests, calls with an unknown outcome."""
