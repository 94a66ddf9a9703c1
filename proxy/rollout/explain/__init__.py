"""Explains a stored request trace in sentences, for the command line and for the operator's page."""
