"""Modes and evidence in the store."""
