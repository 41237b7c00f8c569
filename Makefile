# Everything a person does with the project, and all that CI does. `make` alone explains itself.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup serve test check fix bench bench-peers stress fuzz interop sanitize kernels-arm package-test web web-is-fresh clean
MAKEFLAGS += --no-print-directory

VENV   ?= .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)

# On Linux without a GPU, TORCH=cpu saves gigabytes of CUDA libraries.
INDEX_cpu := --extra-index-url https://download.pytorch.org/whl/cpu
PIP       := $(BIN)/python -m pip --disable-pip-version-check install $(INDEX_$(TORCH)) --no-compile --constraint constraints.txt

SHARED := $(or $(PENSTOCK_SHARED_DATA),../shared/data)

INSTALLS := pyproject.toml constraints.txt $(wildcard setup.py src/penstock/kernels/*.cpp src/penstock/kernels/*.h)
RUNTIME  := $(VENV)/.installed
DEVELOP  := $(VENV)/.installed-for-development
PEERS      := benchmarks/peers
SANITIZED  := build/sanitized
SANITIZERS := -O1 -g -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all
ARM        := build/arm
ARM_CXX    := aarch64-linux-gnu-g++
ARM_RUN    := qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu
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

bench: $(DEVELOP)  ## Measure beside transformers, and the peers that are installed, in one run
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: build/peers/.installed build/peers-convert/.installed  ## Install other engines, which make bench then measures too

build/peers/.installed: $(PEERS)/requirements.txt $(PEERS)/requirements-llama.txt | $(BIN)/python
	@echo "Installing other people's engines in build/peers (once; llama.cpp is compiled, which takes long) ..." >&2
	@$(BIN)/python -m venv build/peers
	@$(call peer-pip,build/peers) --requirement $(PEERS)/requirements.txt
	@$(call peer-pip,build/peers) --requirement $(PEERS)/requirements-llama.txt \
		|| echo "Skipped llama.cpp: it could not be compiled here." >&2
	@touch $@

build/peers-convert/.installed: $(PEERS)/requirements-convert.txt | $(BIN)/python
	@echo "Installing what writes models in their formats in build/peers-convert (once) ..." >&2
	@$(BIN)/python -m venv build/peers-convert
	@$(call peer-pip,build/peers-convert) --requirement $<
	@build/peers-convert/bin/python -m pip --quiet uninstall --yes torchvision  # its usual build wants CUDA
	@touch $@

stress: $(DEVELOP)  ## Kills, loads, models of full shape (6 GB), at their full number; writes docs/reliability.md
	PENSTOCK_STRESS_ROUNDS=20 PENSTOCK_STRESS_LINES=1000 PENSTOCK_STRESS_JOBS=1000 PENSTOCK_STRESS_STREAMS=200 \
	PENSTOCK_LOAD_ROUNDS=30 PENSTOCK_MACHINE_STEPS=20000 PENSTOCK_FULL_SHAPES=gpt2,qwen \
	PENSTOCK_STRESS_REPORT=docs/reliability.json $(BIN)/python -m pytest --timeout 1800 \
		tests/api/test_four_families.py tests/api/test_batch_kills.py tests/api/test_training_kills.py tests/api/jobs tests/scale \
		tests/jobs/test_executor.py tests/api/test_crowds.py tests/api/test_drain.py tests/api/accounts tests/e2e/test_hostile_texts.py \
		tests/serving/test_load_rounds.py tests/engine/test_scheduling_machine.py \
		tests/model/test_hub_models.py tests/cli/test_downloads.py tests/accounts tests/api/history tests/training/test_kills.py $(ARGS)
	PENSTOCK_STRATEGY_CASES=100 PENSTOCK_DRAWS=10000 PENSTOCK_SCHEMAS=320 \
	PENSTOCK_STRESS_REPORT=docs/reliability.json $(BIN)/python -m pytest -n 2 --timeout 1800 \
		tests/decoding/test_three_families.py tests/decoding/test_same_as_transformers.py \
		tests/decoding/test_assisted.py \
		tests/decoding/test_constraints.py tests/engine/test_constraints.py $(ARGS)
	$(BIN)/python docs/generate.py

fuzz: $(DEVELOP)  ## Ten thousand odd requests, three thousand hostile values, five hundred streams
	PENSTOCK_FUZZ_CASES=143 PENSTOCK_STREAM_CASES=500 PENSTOCK_HOSTILE_VALUES=3000 \
		$(BIN)/python -m pytest -n 2 --timeout 3600 tests/api/test_fuzz.py \
		tests/api/test_hostile_values.py tests/api/openai/test_streams.py $(ARGS)

interop: $(DEVELOP) build/interop/.installed  ## Evaluation harness, LangChain and llm against the server
	build/interop/bin/python -m tests.interop --penstock $(BIN)/penstock \
		--stories $(SHARED)/corpora/level1_stories.jsonl \
		$(SHARED)/weights/stories260K src/penstock/model/builtin $(ARGS)

build/interop/.installed: tests/interop/requirements.txt
	@echo "Installing other people's programs in build/interop (once; some minutes) ..." >&2
	@$(BIN)/python -m venv build/interop
	@build/interop/bin/python -m pip --disable-pip-version-check install --quiet --no-compile $(INDEX_$(TORCH)) \
		--requirement tests/interop/requirements.txt
	@touch $@

sanitize: $(DEVELOP)  ## The kernels' tests with the address and undefined-behaviour sanitizers
	CXXFLAGS="$(SANITIZERS)" $(BIN)/python setup.py --quiet build_ext --build-lib $(SANITIZED) --build-temp $(SANITIZED)
	PENSTOCK_TEST_KERNELS=$(SANITIZED)/penstock/kernels/libpenstock_kernels.so ASAN_OPTIONS=detect_leaks=0 \
		LD_PRELOAD="$$($${CXX:-c++} -print-file-name=libasan.so) $$($${CXX:-c++} -print-file-name=libstdc++.so)" \
		$(BIN)/python -m pytest -n 0 --no-cov --timeout 1800 tests/ops $(ARGS)

kernels-arm: $(DEVELOP)  ## The kernels for 64-bit ARM, cross-compiled and run in an emulator
	CXX=$(ARM_CXX) $(BIN)/python setup.py --quiet build_ext --build-lib $(ARM) --build-temp $(ARM)
	$(ARM_CXX) -std=c++17 -O2 -Isrc/penstock/kernels tests/ops/alone/kernels_alone.cpp \
		$(ARM)/penstock/kernels/libpenstock_kernels.so -Wl,-rpath,'$$ORIGIN/penstock/kernels' -o $(ARM)/kernels_alone
	$(ARM_RUN) max $(ARM)/kernels_alone neon_dotprod
	$(ARM_RUN) cortex-a53 $(ARM)/kernels_alone neon

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

peer-pip = $(1)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile $(INDEX_$(TORCH))

# Without node the page is used as committed. CI may not skip: there it is an error.
without-node = $(if $(CI),echo "CI needs node for $(1)." >&2; exit 1,echo "Skipped $(1): node is not installed.")
