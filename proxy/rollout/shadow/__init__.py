"""Runs the side that did not answer, and compares its answer."""
