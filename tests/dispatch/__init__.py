"""Who answers a request, and how the two sides are compared."""
