"""Modes, and the evidence that a change of mode is decided on."""
