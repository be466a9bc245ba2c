# Every target sets up what it needs in .venv, once, and again when pyproject.toml or constraints.txt change.
# PYTHON=python3.12 make ... chooses the interpreter of a new .venv.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt
# TransformerLens 4 cannot be installed beside 3.9.
BRIDGE := .venv-bridge
EXTRAS := train sweep ray lens graph show evaluate notebook dev
CASE ?=
ARGS ?=
# Processes that share the tests; 0 runs them in the foreground, for a debugger.
WORKERS ?= logical
# Checked, tests take two to three times as long.
TYPED ?= tests/causal tests/graph tests/interchange tests/transformer tests/training/objective
PYTEST := -m pytest --numprocesses=$(WORKERS) --maxprocesses=4 --dist=worksteal

# pytest rewrites every file of the tests anew where nothing compiled is kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help train certify test test-typed test-slow test-ci test-bridge lint format bench wheel constraints clean

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

train: $(VENV)/.train ## Train, certify and bundle a model: make train CASE=frac_prevs ARGS="seed=2 model=interpbench"
	@if [ -z "$(CASE)" ]; then echo 'make train: CASE is missing, for example: make train CASE=frac_prevs' >&2; exit 2; fi
	$(BIN)/python -m siit.train case=$(CASE) $(ARGS)

certify: $(VENV)/.train ## Re-measure a bundle from its files: make certify MODEL=checkpoints/frac_prevs/seed-0
	@if [ -z "$(MODEL)" ]; then echo 'make certify: MODEL is missing, for example: make certify MODEL=checkpoints/frac_prevs/seed-0' >&2; exit 2; fi
	$(BIN)/python -m siit.certify $(MODEL) $(ARGS)

test: $(VENV)/.dev ## Run the tests, the slow ones left out
	$(BIN)/python $(PYTEST) $(ARGS)

test-typed: $(VENV)/.dev ## Run those on tensors with every annotated shape and type checked (all: TYPED=tests)
	SIIT_TYPECHECK=1 $(BIN)/python $(PYTEST) $(TYPED) $(ARGS)

test-slow: $(VENV)/.dev ## Run the slow tests
	$(BIN)/python $(PYTEST) -m slow $(ARGS)

test-ci: $(VENV)/.dev ## Run the few slow tests that every commit must pass
	$(BIN)/python $(PYTEST) -m "slow and ci" --durations=15 $(ARGS)

test-bridge: $(BRIDGE)/.done ## Test the export to TransformerLens 4, in an environment of its own
	$(BRIDGE)/bin/python -m pytest tests/interop/test_bridge.py $(ARGS)

lint: $(VENV)/.dev ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## Put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.train ## Measure speed and time to the first certificate
	$(BIN)/python scripts/benchmark.py $(ARGS)

wheel: | $(BIN)/python ## Build the wheel into dist/, for machines without a checkout
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@wheel=$$(ls -t dist/siit-*.whl | head -1); \
	echo "$$wheel is built. To install it: pip install -c constraints.txt '$$wheel', or '$$wheel[train]', '$$wheel[show]'"

constraints: $(VENV)/.dev ## Resolve both constraints files anew
	$(BIN)/pip install --quiet uv
	for lock in "constraints.txt $(EXTRAS)" "constraints-bridge.txt bridge dev"; do \
		set -- $$lock; file=$$1; shift; \
		$(BIN)/uv pip compile pyproject.toml --universal $$(printf ' --extra %s' "$$@") --upgrade \
			--no-emit-index-url --no-header --no-annotate --quiet --output-file "$$file"; \
	done

clean: ## Remove the environments and the tools' caches; models stay
	rm -rf $(VENV) $(BRIDGE) .venv-ray .pytest_cache .ruff_cache .mypy_cache .hypothesis

# A virtual environment that was only half made would look like a whole one: it is removed again.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "siit needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true). Choose one: make PYTHON=python3.12 ..." >&2; \
		exit 2; }
	@echo "Setting up $(VENV): a few minutes the first time"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "'$(PYTHON) -m venv' failed (on Debian and Ubuntu it needs the package python3-venv)" >&2; exit 2; }

$(VENV)/.train: $(INPUTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train]"
	@touch $@

$(VENV)/.dev: $(INPUTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train,sweep,lens,notebook,dev]"
	@touch $(VENV)/.train $@

$(BRIDGE)/.done: pyproject.toml constraints-bridge.txt | $(BIN)/python
	@echo "Setting up $(BRIDGE): a few minutes the first time"
	$(BIN)/python -m venv $(BRIDGE)
	$(BRIDGE)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-bridge.txt \
		-e ".[bridge]" pytest hypothesis
	@touch $@
