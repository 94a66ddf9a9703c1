"""Hostile input: what no client of good will sends, over all routes, on raw sockets, each with its verdict."""
