"""The descriptions under contracts/, held against the proxy, the sandbox, a fuzzer and a foreign mock."""
