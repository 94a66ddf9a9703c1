"""The legacy contract as checks that any host can be held to: one source for the command and for pytest."""
