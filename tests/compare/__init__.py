"""Two answers against each other."""
