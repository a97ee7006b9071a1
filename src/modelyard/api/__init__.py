"""Floor 4: HTTP in. One module a dialect, plus management, pages and operations."""
