"""The mapping layer: what an operator writes, and what is said when it is wrong."""
