"""Settings that people change while the server runs."""
