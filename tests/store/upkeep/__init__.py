"""Retention, erasure, and key rotation."""
