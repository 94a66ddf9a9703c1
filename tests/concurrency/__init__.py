"""Tasks and locks."""
