"""Tests of proxy/audio, on real recordings."""
