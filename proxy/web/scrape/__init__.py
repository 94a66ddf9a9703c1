"""What Prometheus gets: the samples of every worker, and the values that they share."""
