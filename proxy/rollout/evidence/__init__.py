"""The evidence about a route: can-switch, learned answers and differences."""
