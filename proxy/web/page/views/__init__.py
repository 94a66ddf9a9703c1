"""The views of the operator's page, a module each."""
