"""Floor 0: clock, ids, errors, byte-level JSON, SSE, secrets, task group. Knows nothing of models or HTTP servers."""
