"""Modelfiles: read as Ollama reads them, written so that Ollama accepts them."""
