"""Large contents as encrypted files."""
