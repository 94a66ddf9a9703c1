"""Runs the store on PostgreSQL, for several machines (docs/scale.md)."""
