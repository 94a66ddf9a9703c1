"""Tests of the sandbox's own behaviour; what they prove of the proxy is proven elsewhere."""
