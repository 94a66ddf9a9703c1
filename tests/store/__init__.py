"""Tests of proxy/store, on real files."""
