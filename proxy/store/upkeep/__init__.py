"""Retention, erasure, key rotation, and the room that is left."""
