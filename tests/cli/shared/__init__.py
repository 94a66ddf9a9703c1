"""Tests of the parts that several commands use."""
