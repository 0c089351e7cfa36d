# `make run` and `make test` each do all their own set-up on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SPECTRA ?=
# Processes that tests run in; each takes one core and some 2 GB.
WORKERS ?= 2
export MPLBACKEND ?= Agg

.PHONY: run test lint types contract check clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch numpy
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: $(VENV)/.installed
	SPECTRA="$(SPECTRA)" $(BIN)/python -m maury.demo

test: $(VENV)/.installed
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

contract: $(VENV)/.installed
	$(BIN)/lint-imports

check: lint types contract test

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist
