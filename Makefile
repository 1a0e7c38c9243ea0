# Everything that people and the build run, by the same names. `make help` lists it.

PYTHON ?= python3
MINUTES ?= 30
COUNT ?= 10000
PYTEST ?=
PROCESSES ?= 2

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SERVE := .venv/.serve-installed
TEST := .venv/.test-installed
# uv takes the registry and the certificates that this machine's pip is configured with; pip steps in where uv cannot work.
UV = env UV_SYSTEM_CERTS=1 $$($(PIP) config get global.index-url 2>/dev/null | sed 's/^/UV_DEFAULT_INDEX=/') \
	$${UV_DEFAULT_INDEX:+"UV_DEFAULT_INDEX=$$UV_DEFAULT_INDEX"} $(BIN)/uv
install = { $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python $(1) || $(PIP) install --quiet $(1); }
# Only what stands on make's command line: settings have names of their own, and shells export a HOST or PORT at times.
option = $(if $(filter command,$(firstword $(origin $(1)))),$(2) "$($(1))")
compile = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url

.PHONY: help run install training test chaos fuzz lint format types arrows unit integration screenshots lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: $(SERVE) ## Start everything on this machine [PORT=8000] [DATA=data] [HOST=127.0.0.1]
	@exec $(BIN)/screening up $(call option,PORT,--port) $(call option,HOST,--host) $(call option,DATA,--data)

install: $(SERVE) ## Install what serving needs into .venv

training: $(TEST) ## Install what training needs into .venv (tests need the same)

test: $(TEST) ## Install what tests need, check style, types and arrows, run all tests [PYTEST="-k name"] [PROCESSES=2]
	@$(MAKE) --no-print-directory lint
	@exec $(BIN)/python -m pytest --numprocesses "$(PROCESSES)" $(PYTEST)

unit: $(TEST) ## Run the unit tests alone [PYTEST="-k name"]
	@exec $(BIN)/python -m pytest tests/unit $(PYTEST)

integration: $(TEST) ## Run the integration tests alone (real Redis, PostgreSQL and processes) [PYTEST="-k name"]
	@exec $(BIN)/python -m pytest tests/integration $(PYTEST)

chaos: $(TEST) ## Hurt a working system at random, check that nothing is lost, write docs/reliability.md [MINUTES=30] [SEED=n]
	@exec $(BIN)/python -m tests.chaos --minutes "$(MINUTES)" $${SEED:+--seed "$$SEED"}

fuzz: $(TEST) ## Send damaged files to the decoder [COUNT=10000] [SEED=n]
	@exec $(BIN)/python -m tests.fuzz --count "$(COUNT)" $${SEED:+--seed "$$SEED"}

lint: $(TEST) ## Check style, types and import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TEST) ## Bring all Python files into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshots: $(TEST) ## Take pictures of every page, of real X-rays, into docs/images/pages [SHOTS="--files 120"]
	@exec $(BIN)/python -m tests.browser.screenshots $(SHOTS)

lock: $(SERVE) ## Pin dependencies again, with hashes, after a change of pyproject.toml [UPGRADE=--upgrade]
	$(compile) $(UPGRADE) pyproject.toml --extra s3 --extra training --extra test -o requirements/test.txt
	$(compile) $(UPGRADE) pyproject.toml --extra s3 -c requirements/test.txt -o requirements/serve.txt
	$(compile) $(UPGRADE) pyproject.toml --extra s3 --extra gpu -c requirements/test.txt -o requirements/gpu.txt
	for peer in litserve bentoml; do grep -h '^openvino==' requirements/serve.txt | sed 's/ .*//' \
		| $(compile) $(UPGRADE) -c - benchmarks/peers/$$peer.in -o benchmarks/peers/$$peer.txt; done
	printf 'uv\nsetuptools\n' | $(compile) $(UPGRADE) -c requirements/test.txt - -o requirements/uv.txt

clean: ## Remove the environment and everything that is built; data folders stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +

.venv/.made: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed. Name one: make PYTHON=python3.12 run" >&2; exit 1; }
	@echo "Making .venv ..." >&2
	@$(PIP) --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(PIP) install --quiet --require-hashes -r requirements/uv.txt \
		|| { awk '/^[a-z]/ { wanted = /^setuptools==/ } wanted' requirements/uv.txt > .venv/setuptools.txt \
			&& $(PIP) install --quiet --require-hashes -r .venv/setuptools.txt; }
	@touch $@

$(SERVE): .venv/.made requirements/serve.txt pyproject.toml
	@echo "Installing what serving needs ..." >&2
	@$(call install,--require-hashes -r requirements/serve.txt)
	@$(call install,--no-deps --no-build-isolation --config-settings editable_mode=compat -e .)
	@touch $@

$(TEST): $(SERVE) requirements/test.txt
	@echo "Installing what tests need (several GB) ..." >&2
	@$(call install,--require-hashes -r requirements/test.txt)
	@touch $@
