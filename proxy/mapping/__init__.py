"""The mapping files: what an operator may change without a release."""
