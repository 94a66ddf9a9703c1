"""The contract suite, run on the proxy and on the legacy server; it must find every lie itself."""
