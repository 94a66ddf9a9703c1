"""The container files around the package, checked without an engine."""
