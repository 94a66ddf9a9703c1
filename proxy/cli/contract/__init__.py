"""`michiq-proxy contract`: whether a host keeps the legacy contract."""
