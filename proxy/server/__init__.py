"""A hardened HTTP/1.1 server on aiohttp that knows no route."""
