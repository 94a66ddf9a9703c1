"""What several flows use."""
