"""`michiq-proxy rotate-keys`: puts what is stored under the newest key."""
