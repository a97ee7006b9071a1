"""Activation and memory: an active model is loaded, an inactive one unloaded, in the background."""
