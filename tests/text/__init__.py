"""Tests of proxy/text, on real files."""
