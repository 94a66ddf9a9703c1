"""The records of who did what: the audit trail, request traces, and usage by client."""
