"""What is sealed, and how."""
