"""HTTP: what comes in becomes a value, what goes out becomes a response."""
