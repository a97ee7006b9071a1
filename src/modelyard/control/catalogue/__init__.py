"""Catalogue rows (overrides and presets) and grants, as far as the data plane needs them."""
