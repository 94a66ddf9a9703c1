"""The mapping files: settings of the routes, which an operator may change without a release."""
