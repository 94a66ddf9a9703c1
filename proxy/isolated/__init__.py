"""Processes that can only compute: they read hostile files, and do work that would block the loop."""
