"""A request that the legacy server answers."""
