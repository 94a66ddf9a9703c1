"""Tests of what keeps order between processes on several machines."""
