"""Mutation tests of critical code: small bugs are put in, one at a time, and a test must fail with each."""
