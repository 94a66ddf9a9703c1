"""The side that did not answer: run and compared."""
