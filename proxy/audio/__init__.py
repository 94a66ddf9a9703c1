"""Reads the container and the duration of audio."""
