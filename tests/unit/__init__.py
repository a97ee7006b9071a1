"""Tests of single rooms, without a server: rules against brute-force references, and fuzzing."""
