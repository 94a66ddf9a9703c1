"""The log, seen as an operator sees it: line by line."""
