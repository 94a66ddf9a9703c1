"""Tests of the HTTP/1.1 client on real sockets: idle and spare connections, and the parsing of answers."""
