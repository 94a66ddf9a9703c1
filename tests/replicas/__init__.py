"""Several replicas on one PostgreSQL and one S3 store, under load and faults: nothing promised is lost."""
