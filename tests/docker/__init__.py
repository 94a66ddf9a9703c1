"""What surrounds the package in a container, checked without an engine."""
