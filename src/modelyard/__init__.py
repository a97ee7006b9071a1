"""Modelyard manages AI models and serves them."""

__version__ = "0.1.0"
