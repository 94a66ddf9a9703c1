"""Tests of the upstream clients, on real sockets."""
