"""Parts that several commands use: the console, the store, and running a server."""
