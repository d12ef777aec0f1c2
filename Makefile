# Religa. Every target sets up what it needs; `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?=
YEARS ?=
WORLD ?=
SECONDS_EACH ?= 60
# Every role and command is a process: what one has compiled the others take.
unexport PYTHONDONTWRITEBYTECODE

# Tests run in two halves, one for each processor: what only computes, the API and the kills; the rest.
HALF := tests/unit tests/property tests/vectors tests/sim $(wildcard tests/integration/test_http_*.py) \
  $(addprefix tests/integration/test_,crash_points.py accounting_kill.py billing_killed.py lives.py guards.py canary.py)

.DEFAULT_GOAL := help
.PHONY: help setup demo run test check bench sim fuzz clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runtime: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed; set PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.tests: $(VENV)/.runtime requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# Where no C compiler works, workers run as they are written: the same answers, a third slower.
$(VENV)/.compiled: $(VENV)/.runtime requirements-compile.txt api/compiled.py $(wildcard radius/*.py)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-compile.txt
	@$(BIN)/python -m api.compiled
	@touch $@

setup: $(VENV)/.compiled ## the virtual environment and compiled RADIUS workers, nothing else

demo: $(VENV)/.runtime ## unpaid, slowed, walled, paid, restored: once, on real parts, with proof
	@$(BIN)/python -m api demo

run: $(VENV)/.compiled ## serve: embedded PostgreSQL, RADIUS and API, until Ctrl-C
	@$(BIN)/python -m api run

test: $(VENV)/.tests ## all tests (installs Debian packages they need when root)
	@bash tests/support/packages.sh
	@$(MAKE) --no-print-directory $(VENV)/.compiled
	@$(BIN)/python -m pytest $(HALF) >$(VENV)/half.log 2>&1 & half=$$!; \
	  $(BIN)/python -m pytest $(addprefix --ignore=,$(HALF)); judged=$$?; \
	  wait $$half; half=$$?; cat $(VENV)/half.log; \
	  exit $$((judged || half))

check: $(VENV)/.tests ## formatter, linter, types, import contracts
	@$(BIN)/ruff format --check --no-cache .
	@$(BIN)/ruff check --no-cache .
	@$(BIN)/mypy . --no-error-summary
	@$(BIN)/lint-imports --no-cache

bench: $(VENV)/.tests ## benchmarks, one JSON object a line; ONLY=name for one
	@bash tests/support/packages.sh
	@$(MAKE) --no-print-directory $(VENV)/.compiled
	@$(BIN)/python -m tests.bench $(ONLY)

sim: $(VENV)/.tests ## providers' years in virtual time; SEED= YEARS= WORLD=provider, disasters or laws
	@$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED)) $(if $(YEARS),--years $(YEARS)) $(if $(WORLD),--world $(WORLD))

# The guided fuzzer is not to be had for every interpreter; what needs none runs without it.
$(VENV)/.fuzz: $(VENV)/.tests requirements-fuzz.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary atheris --require-hashes -r requirements-fuzz.txt \
	  || { echo "no coverage-guided fuzzer for this interpreter (CPython 3.11 to 3.13 on Linux x86-64 have one); ONLY=mutation, flood or kill needs none" >&2; exit 1; }
	@touch $@

fuzz: $(VENV)/$(if $(filter mutation flood kill,$(ONLY)),.tests,.fuzz) ## hostile input, one JSON object a line; ONLY=name for one, SECONDS_EACH= SEED=
	@$(BIN)/python -m tests.fuzz $(ONLY) --seconds $(SECONDS_EACH) $(if $(SEED),--seed $(SEED))

clean: ## remove the virtual environment and caches; data under var/ stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
