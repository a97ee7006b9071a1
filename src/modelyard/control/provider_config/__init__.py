"""Connections as lists by position: how clients of `/openai/config` and `/ollama/config` know them."""
