# Everything a person does with the project, and all that CI does. `make` alone explains itself.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup serve test check fix bench stress fuzz package-test web web-is-fresh clean
MAKEFLAGS += --no-print-directory

VENV   ?= .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)

# On Linux without a GPU, TORCH=cpu saves gigabytes of CUDA libraries.
INDEX_cpu := --extra-index-url https://download.pytorch.org/whl/cpu
PIP       := $(BIN)/python -m pip --disable-pip-version-check install $(INDEX_$(TORCH)) --no-compile --constraint constraints.txt

INSTALLS := pyproject.toml constraints.txt $(wildcard setup.py src/penstock/kernels/*.cpp src/penstock/kernels/*.h)
RUNTIME  := $(VENV)/.installed
DEVELOP  := $(VENV)/.installed-for-development
NODE     := $(shell command -v npm 2>/dev/null)
MODULES  := frontend/node_modules/.package-lock.json

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEVELOP) $(if $(NODE),$(MODULES))  ## Install all that test, check and bench need

serve: $(RUNTIME)  ## Start the server and open the page (PORT=8000 BROWSER=firefox TORCH=cpu)
	@exec $(BIN)/penstock serve $(if $(PORT),--port $(PORT)) $(ARGS)

test: setup  ## Run every test: pytest, and vitest where node is installed
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)
	@$(if $(NODE),cd frontend && npm test --silent,$(call without-node,the front end's tests))

check: setup  ## Format, lint, types, import contracts, generated files: all that must hold
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check
	@$(if $(NODE),cd frontend && npm run --silent check,$(call without-node,tsc))
	@$(if $(NODE),$(MAKE) web-is-fresh,$(call without-node,the check of the built page))

fix: $(DEVELOP)  ## Format, mend what can be mended, write the generated files anew
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/python docs/generate.py

bench: $(DEVELOP)  ## Measure against transformers in one run and print the table
	$(BIN)/python -m benchmarks $(ARGS)

stress: $(DEVELOP)  ## The tests that kill workers and servers, at their full number of rounds
	PENSTOCK_STRESS_ROUNDS=20 PENSTOCK_STRESS_LINES=1000 $(BIN)/python -m pytest --timeout 1800 \
		tests/api/test_four_families.py tests/api/test_batch_kills.py $(ARGS)

fuzz: $(DEVELOP)  ## Ten thousand odd requests, and the streams of five hundred
	PENSTOCK_FUZZ_CASES=143 PENSTOCK_STREAM_CASES=500 $(BIN)/python -m pytest -n 2 --timeout 3600 \
		tests/api/test_fuzz.py tests/api/openai/test_streams.py $(ARGS)

package-test: $(DEVELOP)  ## Build the wheel and try it in an empty environment elsewhere
	$(BIN)/python -m pytest tests/project/test_wheel.py $(ARGS)

web: $(MODULES)  ## Build the page anew into src/penstock/web
	cd frontend && npm run build

web-is-fresh: $(MODULES)
	@cd frontend && npm run --silent build -- --outDir ../build/web --emptyOutDir --logLevel error
	@diff -r build/web src/penstock/web || { echo "src/penstock/web is stale. Run: make web" >&2; exit 1; }

clean:  ## Remove what was built, the environment included
	rm -rf $(VENV) build dist src/*.egg-info src/penstock/kernels/*.so frontend/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis test-results

$(BIN)/python:
	@$(if $(PYTHON),,echo "Penstock needs Python 3.11 or newer. Install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1)
	@echo "Making a Python environment in $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): $(INSTALLS) | $(BIN)/python
	@echo "Installing Penstock and what it needs (once; some minutes) ..." >&2
	@$(PIP) --editable .
	@$(compile-imports)
	@touch $@
	@$(BIN)/penstock doctor || true

$(DEVELOP): $(INSTALLS) | $(BIN)/python
	@echo "Installing Penstock and what its tests and checks need (once; some minutes) ..." >&2
	@$(PIP) --quiet --editable '.[test,check]'
	@$(compile-imports)
	@touch $@ $(RUNTIME)

$(MODULES): frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Bytecode of just what a server imports: compiling everything takes a minute, nothing costs each start one second.
compile-imports = PYTHONDONTWRITEBYTECODE= $(BIN)/python -c 'import penstock.api.server, penstock.serving.local_engine'

# Without node the page is used as committed. CI may not skip: there it is an error.
without-node = $(if $(CI),echo "CI needs node for $(1)." >&2; exit 1,echo "Skipped $(1): node is not installed.")
