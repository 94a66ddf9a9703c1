"""`michiq-proxy check`: whether settings and mapping files can be served."""
