"""Cases and sessions, and all that belongs to them."""
