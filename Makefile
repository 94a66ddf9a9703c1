# `make run` starts everything on this machine; `make test` proves it. Both install what they need, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV ?= $(firstword $(wildcard $(BIN)/uv) uv)
# Only what the lock names, by hash, and only wheels: nothing is built but this package.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCKED := $(PIP) --require-hashes --only-binary :all:
EXPORT := $(UV) export --quiet --frozen --no-emit-project --no-header --no-annotate --format requirements-txt

.PHONY: run test lint tests test-clients screenshots image bench soak mutants check lock clean
.NOTPARALLEL:

run: $(VENV)/.run-stamp  ## install, then start the proxy with a sandbox of all three systems
	$(BIN)/michiq-proxy demo

test: lint tests  ## install, then lint and run all tests

lint: $(VENV)/.dev-stamp  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Compiled once: where Python may write no bytecode, each command that tests start would compile it again.
tests: $(VENV)/.dev-stamp  ## pytest alone; ARGS='-k name' chooses
	$(BIN)/python -m compileall -q proxy
	$(BIN)/pytest -n 2 --dist worksteal -rs $(ARGS)

test-clients: $(VENV)/.dev-stamp  ## real clients in seven languages; ARGS=--write renews docs/clients.md
	$(BIN)/python -m tests.clients.run $(or $(ARGS),--check)

screenshots: $(VENV)/.dev-stamp  ## pictures of the operator's page in docs/screenshots, made anew (needs chromium)
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

image: $(VENV)/.dev-stamp  ## build docker/Dockerfile without a registry, start it, look into it (root, buildah, debootstrap)
	$(BIN)/pytest -rs tests/docker/image/check_image.py

bench: $(VENV)/.dev-stamp  ## the proxy beside a plain aiohttp floor; ARGS='L1 L2 --secs 3 --rounds 3' chooses
	$(BIN)/python -m tests.bench $(ARGS)

soak: $(VENV)/.dev-stamp  ## the full figures of docs/reliability.md; ARGS='modes homes' chooses
	$(BIN)/python -m tests.soak $(ARGS)

mutants: $(VENV)/.dev-stamp  ## small bugs put into critical code, one at a time; ARGS='decide canary' chooses
	$(BIN)/python -m tests.mutation $(ARGS)

check: $(VENV)/.run-stamp  ## check the mapping files
	$(BIN)/michiq-proxy check mappings

lock:  ## the newest versions that pyproject.toml allows, with their hashes
	$(UV) lock --upgrade
	$(EXPORT) --no-default-groups -o requirements.lock
	$(EXPORT) --no-default-groups --extra postgresql --extra s3 --extra otel -o requirements-scale.lock
	$(EXPORT) --only-group build -o requirements-build.lock
	$(EXPORT) --all-groups -o requirements-dev.lock

clean:  ## remove what make made; var/ holds data and stays
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.python-stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "michiq-proxy needs Python 3.11 or newer, found as $(PYTHON); name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) can't make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.run-stamp: $(VENV)/.python-stamp requirements.lock requirements-build.lock pyproject.toml
	$(LOCKED) -r requirements-build.lock -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/.dev-stamp: $(VENV)/.run-stamp requirements-dev.lock
	$(LOCKED) -r requirements-dev.lock
	@touch $@
