"""Tests of the evidence about a route, and of the decisions on it."""
