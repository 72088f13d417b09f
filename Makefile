# Two commands are enough: `make run` shows it at work, `make test` checks it.
# Python 3.11 or newer, and a C++ compiler (for Annoy), are all that must be there before.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Annoy is compiled here, and pip keeps what it compiled: without this it would only run on this very processor.
export ANNOY_COMPILER_ARGS ?= -O3,-ffast-math,-fno-associative-math

.DEFAULT_GOAL := check
.PHONY: check setup run test test-devices test-sdk e2e soak lint types format bench bench-selection lock clean

check: test lint  ## what to run before a commit

setup: $(VENV)/.installed  ## .venv with the commands hub and camera-node

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) deploy/check_machine.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup  ## three demo cameras, the hub, and where to look
	@$(BIN)/hub demo

test: setup  ## everything that needs no special device
	$(BIN)/pytest -m "not devices and not e2e and not export and not sdk" $(ARGS)

e2e: setup  ## cameras, hub and disasters for real; minutes
	$(BIN)/pytest -m e2e $(ARGS)

test-devices: setup  ## USB and Pi cameras without the hardware; installs Debian packages
	tests/devices/setup.sh
	$(BIN)/pytest -m devices tests/devices $(ARGS)

test-sdk: setup  ## our requests beside those of Roboflow's own client, installed for it
	$(BIN)/pytest -m sdk $(ARGS)

soak: setup  ## 20 minutes of deliveries with faults and kill -9
	$(BIN)/python -m tests.bench.soak $(ARGS)

lint: setup  ## style, layers, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-selection: setup  ## how well campaigns select, on real vectors; writes the plot
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.bench.bench_selection $(ARGS)

bench: setup  ## prints the tables of the README
	$(BIN)/python -m tests.bench $(ARGS)

lock: setup  ## after a change to the dependencies in pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra hub --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
