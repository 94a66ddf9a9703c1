"""Tests of the parts that several flows use."""
