"""Small models of protocols, and what enumerates them."""
