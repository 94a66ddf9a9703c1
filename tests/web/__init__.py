"""Tests of the code between a client's socket and the side that answers."""
