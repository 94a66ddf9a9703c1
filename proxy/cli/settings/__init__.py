"""`michiq-proxy settings`: the settings in force."""
