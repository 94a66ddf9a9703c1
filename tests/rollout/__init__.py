"""The choice of the side that answers, and the comparison of the two sides."""
