"""One file per legacy route: the order of calls, and what is kept when."""
