"""`michiq-proxy erase`: removes all that is stored of a case or a user."""
