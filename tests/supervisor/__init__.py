"""Several serving processes on one machine."""
