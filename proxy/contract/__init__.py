"""The legacy contract as checks that any host can be given: one source for the command and for pytest."""
