"""Sums up all routes for an operator who looks at them: who answers, how well, and what is wrong."""
