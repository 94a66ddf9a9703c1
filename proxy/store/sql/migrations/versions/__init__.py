"""Holds one module per step of the schema, oldest first; the code of a released one is never edited."""
