"""Floor 2: pure decisions. Values in, values out; no clock, no I/O, no state."""
