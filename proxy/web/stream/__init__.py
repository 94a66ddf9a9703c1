"""The stream of server-sent events, for the operator's page and for programs."""
