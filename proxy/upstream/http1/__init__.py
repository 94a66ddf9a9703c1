"""The HTTP/1.1 client of all upstreams: a pool of connections, and answers as bytes."""
