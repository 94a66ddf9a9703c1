"""The parts of the query flow."""
