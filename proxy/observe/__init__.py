"""Logs and metrics of the process, which never contain a patient's data."""
