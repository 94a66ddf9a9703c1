"""`michiq-proxy retention`: removes texts and audio that are older than their days."""
