"""The operator's page: views of the admin listener, made on the server."""
