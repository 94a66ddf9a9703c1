"""Holds the history of the schema; `proxy.store.sql.migrate` runs it at start."""
