# `make help` lists the targets; `make check` is what continuous integration runs.

PYTHON ?= python3
UV ?= uv
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SMOKE := .smoke
# One version of everything on every supported Python and platform; hashes pin the very files.
LOCK := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet
TRUSTED_BASE := certified/numerics/*,certified/bounds/*,certified/privacy/*,certified/verification/*,certified/certificates/*

# Tests on real data sets read this folder; without it they are skipped.
ifneq ($(wildcard ../shared/data),)
export CERTIFIED_DATA ?= $(abspath ../shared/data)
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo check lint types imports test test-all coverage format wheel bench notebooks lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with the locked dependencies and the package

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## train, delete rows, certify and verify, in one minute
	$(BIN)/certified demo

check: lint types imports wheel test ## everything continuous integration checks

lint: setup ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## static types
	$(BIN)/mypy --strict certified

imports: setup ## layering contracts
	$(BIN)/lint-imports

# As many processes as cores: threads of BLAS would only wait for each other.
test test-all coverage: export OPENBLAS_NUM_THREADS ?= 1

test: setup ## tests and doctests, without the slow ones
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-all: setup ## all tests, with many more examples per property
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m ""

coverage: setup ## branch coverage; the trusted base must be complete
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=
	$(BIN)/coverage report
	$(BIN)/coverage report --include "$(TRUSTED_BASE)" --fail-under=100

format: setup ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: setup ## build sdist and wheel, and try the installed copy away from the sources
	rm -rf dist $(SMOKE)
	$(BIN)/python -m build --no-isolation .
	$(PYTHON) -m venv $(SMOKE)
	$(SMOKE)/bin/python -m pip install --quiet --require-hashes -r requirements/core.lock
	$(SMOKE)/bin/python -m pip install --quiet --no-deps dist/*.whl
	$(SMOKE)/bin/python -m pip check
	cd $(SMOKE) && bin/python -c 'import certified, sys; assert certified.__file__.startswith(sys.prefix), certified.__file__'
	cd $(SMOKE) && bin/certified --version && bin/certified demo

bench: setup ## run every benchmark
	@set -e; for file in benchmarks/[a-z]*.py; do \
		echo "== $$file"; $(BIN)/python -m "benchmarks.$$(basename $$file .py)"; \
	done

notebooks: setup ## execute the notebooks in place
	$(BIN)/jupyter execute notebooks/*.ipynb

lock: ## resolve the dependencies anew (needs uv)
	$(LOCK) --all-extras --upgrade --output-file requirements/dev.lock
	$(LOCK) --constraint requirements/dev.lock --output-file requirements/core.lock

clean: ## remove environments, builds and caches
	rm -rf $(VENV) $(SMOKE) build dist certified-demo .coverage .coverage.* htmlcov .hypothesis .import_linter_cache .jax_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
