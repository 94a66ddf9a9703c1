"""Tests of the sandbox's own behaviour; other tests prove the proxy's."""
