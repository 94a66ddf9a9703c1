"""What stands between a client's socket and who answers."""
