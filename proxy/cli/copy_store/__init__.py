"""`michiq-proxy copy-store`: copies a stopped store to another database and another blob store."""
