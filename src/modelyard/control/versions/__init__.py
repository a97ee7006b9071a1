"""What objects were: every saved state of any kind of object, to read, compare and go back to."""
