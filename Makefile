# Everything a contributor runs. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
COVERAGE_FLOOR := 95
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

# The tests start hundreds of processes; where bytecode is not cached, each compiles torch's sources again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install core demo lock format lint types test test-fast test-long test-real test-browser coverage docs check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(VENV)/.installed ## make .venv with everything, at the locked versions
core: $(VENV)/.core ## make .venv with the core alone, at the locked versions

$(UV): requirements-uv.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"fercli needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}: make install PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.lock
	@touch $@

# pip installs uv by its hash, uv installs the rest by theirs: the same files everywhere, in parallel.
$(VENV)/.installed: $(UV) requirements.lock pyproject.toml
	@echo 'Installing fercli with everything: about 9 GB with CUDA. The first time takes minutes.'
	$(UV) pip install --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.core

$(VENV)/.core: $(UV) requirements.lock pyproject.toml
	@echo 'Installing the core of fercli. The first time takes minutes.'
	$(UV) pip install --python $(BIN)/python --constraint requirements.lock --editable .
	@touch $@

demo: core ## the whole chain on drawn faces, into demo/ (a few minutes)
	PATH="$(CURDIR)/$(BIN):$$PATH" bash assets/demo.sh demo

lock: ## re-resolve every version within pyproject.toml's ranges
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--all-extras --no-emit-package fercli pyproject.toml -o requirements.lock
	echo 'uv' | $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url - -o requirements-uv.lock

format: install ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet . || true

lint: install ## check format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## mypy, strict
	$(BIN)/mypy

# One thread a process: the processes share the cores.
test: install ## the tests, on all cores
	$(TESTS) -m "not real and not long and not browser"

test-fast: install ## the tests that take less than about a quarter of a second each
	$(TESTS) -m "not real and not long and not slow and not browser"

# Coverage's C tracer costs about a third more CPU time; the interpreter's own monitoring needs Python 3.12.
coverage: install ## the tests, with the lines of fercli/ that they run; fails below COVERAGE_FLOOR
	$(TESTS) -m "not real and not long and not browser" \
		--cov=fercli --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE_FLOOR)

test-long: install ## documented examples, the docs build, Ray, export and compilation of each model family (minutes)
	$(BIN)/python -m pytest -m long

test-real: install ## the tests on the real data in $$FERCLI_REAL_DATA
	$(BIN)/python -m pytest -m real

test-browser: install ## the tests of the page in Chromium, where there is one
	$(BIN)/python -m pytest -m browser

docs: install ## the documentation as HTML, into docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs docs/_build/html

check: lint types coverage ## what every change must pass: format, lint, types, tests with coverage

clean: ## remove the environment and caches (never artifacts)
	rm -rf $(VENV) build dist docs/_build docs/reference/generated .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
