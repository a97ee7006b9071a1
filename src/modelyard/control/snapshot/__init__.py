"""Compiles the snapshot and publishes it."""
