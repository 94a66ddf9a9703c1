"""Who answers a request, and what is learnt from the side that does not."""
