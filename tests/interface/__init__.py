"""The web interface, driven in a real browser in front of a real server."""
