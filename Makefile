# Everything a newcomer needs. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
NPM := scripts/npm $(VENV)
INTERFACE := src/modelyard/api/static/interface/index.html
INTERFACE_SOURCES := $(shell find ui/src ui/public -type f) $(wildcard ui/*.ts ui/*.js ui/*.json ui/*.html)

.PHONY: help install run engine test check format client pictures bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

install: $(VENV)/.installed $(INTERFACE) ## Install into .venv of this folder, and build the web interface

run: $(VENV)/.installed $(INTERFACE) ## Install if needed, then serve on http://127.0.0.1:8484
	@exec $(BIN)/modelyard serve

engine: $(VENV)/.uv ## Serve a tiny random model with llama.cpp on port 8080, to try things out
	@$(BIN)/uv sync --quiet --frozen --inexact --no-default-groups --group engine --extra postgres
	@exec $(BIN)/python tests/engine.py --port 8080

test: $(VENV)/.tested $(INTERFACE) ## Install all that the tests need, then lint, types, floors and tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(NPM) run --silent formatted && $(NPM) run --silent check && $(NPM) run --silent test
	@$(BIN)/pytest -n 2 --dist loadfile

check: $(VENV)/.tested $(INTERFACE) ## The quick part of the tests: lint, types, floors, unit tests
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports
	@$(BIN)/pytest -q -n 2 tests/unit tests/shape

format: $(VENV)/.tested ui/node_modules/.installed ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
	@$(NPM) run --silent format

client: $(VENV)/.tested ui/node_modules/.installed ## Make the interface's typed client again from the OpenAPI document
	@$(BIN)/python scripts/openapi-document > ui/openapi.json
	@$(NPM) run --silent client

pictures: $(VENV)/.tested $(INTERFACE) ## Make the pictures of the documentation again
	@$(BIN)/pytest -q -n 2 tests/interface/test_tour.py -k seen
	@mkdir -p docs/pictures && grep -oh 'pictures/[a-z-]*\.png' docs/interface.md | sort -u | xargs -I{} cp build/{} docs/{}

bench: $(VENV)/.tested ## Measure against a bare pass-through and peers (30 minutes; nothing else should run)
	@scripts/system-packages wrk
	@$(BIN)/python -m bench --write docs/benchmarks.md

clean: ## Remove what was installed and built
	rm -rf $(VENV) dist build ui/node_modules src/modelyard/api/static .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/.peers

# Two stamps: what serving needs, and what tests need beside it.
$(VENV)/.uv:
	@scripts/python-venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.installed: pyproject.toml uv.lock | $(VENV)/.uv
	@$(BIN)/uv sync --quiet --frozen --inexact --no-default-groups --extra postgres
	@touch $@

$(VENV)/.tested: pyproject.toml uv.lock | $(VENV)/.uv
	@scripts/system-packages postgresql chromium
	@$(BIN)/uv sync --quiet --frozen --inexact --all-extras
	@touch $@ $(VENV)/.installed

ui/node_modules/.installed: ui/package.json ui/package-lock.json | $(VENV)/.uv
	@$(NPM) ci --silent --no-audit --no-fund
	@touch $@

$(INTERFACE): ui/node_modules/.installed $(INTERFACE_SOURCES)
	@$(NPM) run --silent build -- --logLevel warn
