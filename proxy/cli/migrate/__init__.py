"""`michiq-proxy migrate`: brings the database to the schema of this release."""
