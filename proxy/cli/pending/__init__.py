"""`michiq-proxy pending`: the calls whose outcome only an operator can find out."""
