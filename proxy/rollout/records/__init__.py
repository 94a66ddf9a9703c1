"""Reads the store's records for an operator: the clients of the ledger, and the audit."""
