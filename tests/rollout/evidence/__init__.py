"""What is seen of a route, and what is decided on it."""
