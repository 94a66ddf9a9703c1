"""Hostile input: what no client of good will sends, on all routes, by raw sockets, each with its verdict."""
