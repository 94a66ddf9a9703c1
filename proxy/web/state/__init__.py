"""The state of the service: the metrics of all workers, and the system as operators see it."""
