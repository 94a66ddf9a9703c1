"""The contract suite: held to the proxy and to the legacy server, and held itself to find every lie."""
