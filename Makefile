bench: ; .venv/bin/python -m bench
