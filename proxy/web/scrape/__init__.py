"""The exposition for Prometheus: the samples of every worker, and the values that they share."""
