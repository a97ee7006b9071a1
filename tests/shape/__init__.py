"""House rules as tests. Each failure says what to do."""
