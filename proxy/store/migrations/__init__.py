"""Holds the history of the schema; `proxy.store.migrate` runs it at start."""
