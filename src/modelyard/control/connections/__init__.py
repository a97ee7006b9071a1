"""Connections to upstreams: made, changed, verified; what each offers."""
