# Two commands matter: `make demo` runs Quorate, `make test` proves it. `make help` lists the rest.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
PIP    := $(VENV)/bin/python -m pip --disable-pip-version-check --no-input
DEMO   ?= data/demo

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check format bench docs lock clean

help: ## list these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(VENV)/.runtime ## make .venv with the pinned dependencies

demo: $(VENV)/.runtime ## start a demo on 127.0.0.1:8080; Ctrl-C stops it, its data stays in data/demo
	@exec $(VENV)/bin/quorate demo --data $(DEMO) $(ARGS)

serve: $(VENV)/.runtime ## start the server on its own data directory, or on QUORATE_DATABASE_URL
	@exec $(VENV)/bin/quorate serve $(ARGS)

test: $(VENV)/.dev ## run every test this machine can; the closing line counts what was skipped
	@$(VENV)/bin/python -m pytest $(ARGS)

check: $(VENV)/.dev ## formatting, lint, types, the layers
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/python -m pytest -q --durations=0 tests/test_architecture.py

format: $(VENV)/.dev ## put the code into its usual form
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

bench: $(VENV)/.dev ## measure everything, in ratios to what PostgreSQL does alone (takes 20 minutes; ARGS=--quick less)
	@$(VENV)/bin/python -m bench $(ARGS)

docs: $(VENV)/.dev ## write the generated pages again
	@$(VENV)/bin/python -m tests.generated

lock: ## resolve the dependencies anew (needs uv); writes hashes and no addresses
	@cd requirements && for set in runtime dev; do \
	  uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links $$set.in -o $$set.txt || exit 1; done

clean: ## remove the virtual environment and caches; data directories stay
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamps remember which pins are installed, so that a second run starts at once.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Quorate needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=…") if sys.version_info < (3, 11) else None'
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the pinned dependencies"
	@$(PIP) install --quiet --require-hashes --no-deps -r requirements/runtime.txt
	@$(PIP) install --quiet --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "installing what the tests need"
	@$(PIP) install --quiet --require-hashes --no-deps -r requirements/dev.txt
	@touch $@
