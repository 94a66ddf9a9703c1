"""Encrypts what is stored, and makes the keyed hashes that rows are found by."""
