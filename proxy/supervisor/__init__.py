"""Several serving processes on one machine: one parent, its workers, and what they share."""
