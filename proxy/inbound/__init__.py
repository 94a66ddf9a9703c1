"""A request's body as it comes in: what forms, their parts and part headers say."""
