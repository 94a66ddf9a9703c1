"""Users apart: what is one user's never reaches another (issue 5)."""
