"""Processes that may only compute: hostile files are read in them, and what would hold up the loop."""
