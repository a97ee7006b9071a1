"""Floor 2: wire dialects as frozen records of pure functions (bytes in, values out). The table is `dialects.table`."""
