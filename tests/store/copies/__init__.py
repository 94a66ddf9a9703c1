"""Copies of a store to other engines."""
