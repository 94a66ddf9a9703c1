"""The legacy server: requests passed on as they are."""
