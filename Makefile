# Everything runs in a virtual environment of its own, made on first use by uv: it is installed there if there is none. Where it
# reaches no index, as it does not read pip's settings, pip has to.
PYTHON ?=
VENV ?= .venv
TESTS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready
.DEFAULT_GOAL := help
.PHONY: help install demo dev test test-emulators test-pythons test-matrix soak simulate bench bench-peers lint format lock screenshot dist clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): pyproject.toml setup.cfg requirements.lock
	@echo 'Installing '$$(grep -c '^[a-z]' requirements.lock)' packages into $(VENV): a minute or two, this once.'
	@[ -t 1 ] || quiet=--quiet; \
	if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python '$(or $(PYTHON),>=3.11)' $(VENV) && uv=uv; \
	else \
	  $(or $(PYTHON),python3) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")' && \
	  $(or $(PYTHON),python3) -m venv $(VENV) && \
	  { $(BIN)/python -m pip install --quiet --disable-pip-version-check uv && uv=$(BIN)/uv || uv=; }; \
	fi && \
	if [ -n "$$uv" ] && $$uv pip install $$quiet $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode) --python $(BIN)/python -r requirements.lock; then \
	  $$uv pip install --quiet --python $(BIN)/python --no-deps -e .; \
	else \
	  $(BIN)/python -m ensurepip >/dev/null && \
	  $(BIN)/python -m pip install $$quiet --disable-pip-version-check -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .; \
	fi
	@touch $@

install: $(READY) ## Make the virtual environment

demo: $(READY) ## Sync a simulated Klaviyo account into DuckDB and print what landed; WAREHOUSE=postgres: into a server of its own
	@$(BIN)/klaviyo-assets demo$(if $(WAREHOUSE), --warehouse $(WAREHOUSE))

dev: $(READY) ## Open the Dagster UI (on the simulated account, unless KLAVIYO_API_KEY is set, in .env for example)
	@$(BIN)/klaviyo-assets dev

# With bytecode, for the tests start hundreds of processes.
test: $(READY) ## Run the tests
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

test-emulators: $(READY) ## Run what needs environments of its own: all databases on their emulators, Klaviyo's later SDK
	@$(BIN)/python -m pytest -n auto --dist worksteal -m emulators $(TESTS)

test-pythons: $(READY) ## Run the tests that depend on it on every other Python that is installed
	@.ci/pythons $(BIN)/python

test-matrix: test-pythons ## Run the tests that depend on it also with DuckDB 1.4 and the lowest versions of what is needed
	@.ci/matrix

# SEED=7 runs only the seed 7, of the mixtures, of the kills and of the stories.
soak: $(READY) ## Run hundreds of mixtures of faults, of kills and of overlapping runs, and a simulated month hour by hour (hours)
	@$(BIN)/python -m pytest -m soak -n auto --dist worksteal -vv --tb=short $(if $(SEED),-m "soak or not soak" -k "(mixture or kill or story) and [$(SEED)]")

# FIRST=100 begins with the seed 100. TIER=1 is a warehouse of dictionaries (what is decided), TIER=2 DuckDB (also the SQL); without it all
# seeds are on the first, and one in a hundred on the second as well.
simulate: $(READY) ## Simulate SEEDS=1000 histories of syncs, on all cores, until one is wrong
	@$(BIN)/python -m klaviyo_assets_tests.simulation $(or $(FIRST),0) $(or $(SEEDS),1000) $(or $(TIER),0)

bench: $(READY) ## Measure speed and memory; BENCH="--help" shows the choices, BENCH="event --times 5" makes one
	@$(BIN)/python -m benchmarks $(BENCH)

bench-peers: $(READY) ## Measure ingestr and Airbyte's connector beside it (installs them into .bench-peers; needs npm, openssl)
	@$(BIN)/python -m benchmarks --peers $(BENCH)

lint: $(READY) ## Check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

lock: ## Lock the versions that are tested (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-find-links --custom-compile-command "make lock" --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

screenshot: $(READY) ## Take the README's picture of the asset graph (needs Chromium)
	@$(BIN)/python docs/screenshot.py

dist: $(READY) ## Build wheel and sdist into dist/, and try the wheel in new environments, as a user would
	@.ci/dist $(BIN)/python

clean: ## Remove the virtual environment and everything that was made
	rm -rf $(VENV) .venv-* .lowest.txt .bench-peers data dist .dagster_home .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
