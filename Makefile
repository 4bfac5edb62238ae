# The habits of the house; `make help` lists them. Nothing but Python 3.11+, make and a package
# index is assumed. One environment serves all targets; a stamp file says what it holds.

VENV  := .venv
BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip --disable-pip-version-check --quiet
# setuptools warns that an editable installation is editable.
EDITABLE := PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation --editable .
LOCK  := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
         --generate-hashes --no-emit-index-url --no-header --quiet

# Tests run on every core, each file in one process and in the order of the folders, which ends
# with the many short ones. `make test WORKERS=0` runs them one after the other, in one process.
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest -q -rs --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo lint check test test-faults bench attack docs lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(VENV)/.dev ## environment with everything to work on the hub

demo: $(VENV)/.runtime ## the whole hub on this machine, with invented offices
	@$(BIN)/iphub demo

lint: $(VENV)/.dev ## format, style, types, arrows between the rooms
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

check: lint ## lint, unit and contract tests: run it before every commit
	$(PYTEST) tests/contract tests/unit

test: lint ## lint and all tests: unit, contract, flow, system
	$(PYTEST) tests

test-faults: $(VENV)/.dev ## kill the hub at every named point, about half an hour
	IPHUB_TEST_ALL_POINTS=1 $(BIN)/python -m pytest -q -rs tests/system/test_kills.py \
	  tests/system/test_killed_errands.py

bench: $(VENV)/.dev ## the benchmarks, with the figures the documentation quotes
	$(BIN)/python -m benchmarks

attack: $(VENV)/.dev ## Schemathesis and sqlmap over every route and parameter; long
	IPHUB_ATTACK=all $(BIN)/python -m pytest -q -rs tests/flow/test_schemathesis.py tests/flow/test_injection.py \
	  tests/flow/test_role_matrix.py tests/flow/test_hostile_requests.py

docs: $(VENV)/.dev ## rewrite the pages that are generated from tables and rules
	$(BIN)/python -m ipregister.dictionary docs/data-dictionary.md
	$(BIN)/python -m ipregister.rule_catalogue > docs/quality-rules.md

lock: $(VENV)/.dev ## recompile the requirements after a change in pyproject.toml
	$(LOCK) --group build --extra postgres --output-file deploy/requirements.txt
	$(LOCK) --group dev --extra postgres --constraints deploy/requirements.txt \
	  --output-file deploy/requirements-dev.txt

clean: ## remove the environment and what the tools left behind
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache .coverage htmlcov

# --- the environment -------------------------------------------------------------------------

# The locks are complete, so pip resolves nothing (--no-deps): faster, and no version but ours.
# The stamp of the larger set also serves the smaller one, hence the touch of both.
$(VENV)/.dev: deploy/requirements-dev.txt pyproject.toml | $(BIN)/pip
	@echo "Installing the development packages (a minute or two the first time) ..."
	@$(PIP) install --no-deps --require-hashes --requirement deploy/requirements-dev.txt
	@$(EDITABLE)
	@touch $(VENV)/.runtime $(VENV)/.dev

$(VENV)/.runtime: deploy/requirements.txt pyproject.toml | $(BIN)/pip
	@echo "Installing the packages (about a minute the first time) ..."
	@$(PIP) install --no-deps --require-hashes --requirement deploy/requirements.txt
	@$(EDITABLE)
	@touch $(VENV)/.runtime

# The first interpreter that is new enough and has the venv module, or the one of PYTHON=...
$(BIN)/pip:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	    2>/dev/null; then \
	    echo "Creating $(VENV) with $$($$python --version)"; \
	    exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "The hub needs Python 3.11 or newer with its venv module, and found none." >&2; \
	echo "Debian: apt install python3 python3-venv. Elsewhere: make setup PYTHON=/path/to/python3" >&2; \
	exit 1
