"""What goes wrong in the store; no text here ever holds stored data."""


class StoreError(Exception):
    """The store can't do what was asked; the text says why and, for a setting, how to mend it."""


class BlobError(StoreError):
    """A blob is missing, cut, or not what was written."""
