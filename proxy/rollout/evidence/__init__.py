"""What can-switch, learned and differences say of a route."""
