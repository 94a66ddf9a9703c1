"""The audit trail, request traces and usage."""
