"""HTTP: requests become values, and answers become responses."""
