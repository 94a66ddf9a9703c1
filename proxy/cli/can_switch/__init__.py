"""`michiq-proxy can-switch`: whether a route can be given over to the new side."""
