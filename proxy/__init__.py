"""michiq-proxy: answers the obsolete michiQ API from Llamalitica's new API and LlamaChat."""

__version__ = "0.2.0"
