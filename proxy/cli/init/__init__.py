"""`michiq-proxy init`: writes the files that an operator edits."""
