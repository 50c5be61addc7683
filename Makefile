# Each target does all the set-up it needs: a Python of at least 3.11 with pip is enough.
# `make demo PYTHON=/path/to/python3.12` chooses another Python.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:

FLOOR := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c '$(FLOOR)' 2>/dev/null && echo $$name && break; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q

# The environment is looked at again when the dependencies, the Python or the place of the checkout change.
KEY := $(shell $(PYTHON) -c 'import hashlib, os, sys; \
	text = open("pyproject.toml").read() + sys.version + os.getcwd(); \
	print(hashlib.sha256(text.encode()).hexdigest()[:16])' 2>/dev/null)
STAMP := $(VENV)/.ready-$(KEY)

# First, and by this version: it resolves to the build for CPUs where one is at hand, where a plain `torch`
# would bring gigabytes of CUDA.
TORCH := torch==2.13.0

.PHONY: help
help: ## say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: demo
demo: $(STAMP) ## show the whole story in the terminal: wake, sleep, wake
	@$(BIN)/python -m ltmld demo

.PHONY: test
test: $(STAMP) ## run the whole test suite
	@$(BIN)/python -m pytest $(ARGS)

CLIENTS := .venv-clients

.PHONY: test-clients
test-clients: $(STAMP) $(CLIENTS)/.ready ## try real clients, in Python and JavaScript, before ltmld and without it
	@CLIENTS_ENVIRONMENT=$(CURDIR)/$(CLIENTS) $(BIN)/python -m pytest tests/clients/test_real_clients.py $(ARGS)

# What a registry does not have is left out, one by one, and its client's tests are skipped, saying so.
$(CLIENTS)/.ready: tests/clients/requirements.txt tests/clients/package.json tests/clients/package-lock.json
	@echo "preparing $(CLIENTS) (once; a minute or two)"
	@rm -rf $(CLIENTS) && $(PYTHON) -m venv --without-pip $(CLIENTS) && mkdir -p $(CLIENTS)/js
	@$(PIP) --python $(CLIENTS)/bin/python install -r tests/clients/requirements.txt || \
	  for one in $$(grep -v '^\#' tests/clients/requirements.txt); do \
	    $(PIP) --python $(CLIENTS)/bin/python install "$$one" || echo "$$one cannot be installed: left out"; done
	@cp tests/clients/package.json tests/clients/package-lock.json $(CLIENTS)/js/
	@cd $(CLIENTS)/js && npm ci --no-audit --no-fund --silent || echo "no clients in JavaScript: npm is not here, or failed"
	@touch $@

OPEN_WEBUI := .venv-open-webui

.PHONY: test-open-webui
test-open-webui: $(STAMP) $(OPEN_WEBUI)/.ready ## drive Open WebUI in a browser (3 GB, some minutes; needs Chromium)
	@OPEN_WEBUI_ENVIRONMENT=$(CURDIR)/$(OPEN_WEBUI) $(BIN)/python -m pytest tests/open_webui $(ARGS)

$(OPEN_WEBUI)/.ready: tests/open_webui/requirements.txt
	@echo "preparing $(OPEN_WEBUI) (once; some minutes)"
	@$(PYTHON) -m venv --without-pip $(OPEN_WEBUI)
	@$(PIP) --python $(OPEN_WEBUI)/bin/python install $(TORCH)
	@$(PIP) --python $(OPEN_WEBUI)/bin/python install -r tests/open_webui/requirements.txt
	@touch $@

.PHONY: fuzz
fuzz: $(STAMP) ## send hostile bytes to the data plane for SECONDS (60), always the same ones for one SEED (0)
	@$(BIN)/python -m tests.proxy.fuzz --seconds $(or $(SECONDS),60) --seed $(or $(SEED),0)

.PHONY: test-dialogues
test-dialogues: $(STAMP) ## play DIALOGUES (500) of any clients in any order instead of a few
	@LONG_DIALOGUES=$(or $(DIALOGUES),500) $(BIN)/python -m pytest tests/wake/dialogues/test_any_order.py

.PHONY: lint
lint: $(STAMP) ## ruff: the rules and the format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(STAMP) ## mypy, strict
	@$(BIN)/mypy

.PHONY: layers
layers: $(STAMP) ## import-linter: imports point down
	@$(BIN)/lint-imports

.PHONY: check
check: lint types layers test ## lint, types, layers, test

.PHONY: wheel
wheel: $(STAMP) ## build the wheel into dist/
	@rm -rf dist && $(PIP) wheel --no-deps --wheel-dir dist . && ls dist

# Conversations with questions, and what a night would write down about them; they do not ship with the source.
DATA := ../shared/data
LOAD := ../shared/tools/load

.PHONY: bench
bench: $(STAMP) ## run every benchmark; those that need ../shared/data only where it is
	@if [ -d $(LOAD) ]; then set -x; $(BIN)/python -m benchmarks.proxy $(LOAD); else echo "$(LOAD) is not here: the data plane is not measured"; fi
	$(BIN)/python benchmarks/daemon.py
	@if [ -d $(DATA) ]; then set -x; \
	  $(BIN)/python benchmarks/recall.py $(DATA)/locomo-dev.json && \
	  $(BIN)/python -m benchmarks.conversation $(DATA)/locomo-dev.json --facts $(DATA)/facts/conv-26.facts.jsonl \
	    --recall-bench ../shared/tools/recall_bench.py; \
	else echo "$(DATA) is not here: recall is not measured"; fi

.PHONY: docs
docs: $(STAMP) ## write the reference of settings again
	@$(BIN)/python docs/settings_reference.py

.PHONY: setup
setup: $(STAMP) ## only prepare the environment

.PHONY: clean
clean: ## remove what was built, the environment too
	rm -rf $(VENV) $(CLIENTS) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: python
python:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "ltmld needs Python 3.11 or newer, and none is on the path. Install one, or name it:" >&2; \
	  echo "  make $(or $(MAKECMDGOALS),test) PYTHON=/path/to/python3.12" >&2; exit 2; fi
	@if ! $(PYTHON) -c '$(FLOOR)' 2>/dev/null; then \
	  echo "$(PYTHON) is not a Python of at least 3.11; ltmld needs one. Name another with PYTHON=..." >&2; exit 2; fi

# An environment that still runs from this place is brought up to date; any other is made anew.
# Debian's Python comes without ensurepip until python3-venv is installed; its pip can fill the environment instead.
$(STAMP): | python
	@echo "preparing $(VENV) with $$($(PYTHON) --version) (once; a few minutes)"
	@{ $(BIN)/python -c '$(FLOOR)' && grep -q "$(CURDIR)/$(VENV)/" $(BIN)/pip; } 2>/dev/null || { \
	  rm -rf $(VENV); $(PYTHON) -m venv $(VENV) >/dev/null 2>&1; } || { \
	  rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check -q install pip; }
	@$(PIP) install $(TORCH)
	@$(PIP) install -e '.[dev]'
	@rm -f $(VENV)/.ready-* && touch $@
