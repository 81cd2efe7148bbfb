# One venv, made from the locked requirements; every target below uses it.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 20

$(VENV)/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.x")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { test "$$(id -u)" = 0 || \
	  { echo "Python cannot make a virtual environment here; run: apt-get install python3-venv"; exit 1; }; \
	  apt-get update -q && apt-get install -qy python3-venv; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: venv
venv: $(VENV)/ready ## Make the virtual environment

.PHONY: test
test: lint unit unit-server e2e ## Everything that continuous integration runs

.PHONY: lint
lint: venv ## Format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: venv ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: unit
unit: venv ## Pure tests, without a cluster
	$(BIN)/pytest tests/unit tests/property --ignore tests/unit/server

.PHONY: search
search: venv ## Let the property tests look for examples that nobody has seen yet
	$(BIN)/pytest --hypothesis-profile=default tests/unit tests/property --ignore tests/unit/server
	@$(CLUSTER) test-server --hypothesis-profile=default tests/unit/server

.PHONY: generate
generate: venv ## Write the CRDs and the API reference from the types
	$(BIN)/python -m mtls_operator.api.generate

.PHONY: manifests
manifests: venv ## Write the kustomize base from the chart
	$(BIN)/python -m tests.unit.chart.rendering

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
  --custom-compile-command "make lock"

.PHONY: lock
lock: venv ## Lock the dependencies anew
	$(BIN)/pip install --quiet uv
	$(COMPILE) --python-version 3.13 --extra operator pyproject.toml -o requirements/operator.txt
	$(COMPILE) --python-version 3.13 --extra server pyproject.toml -o requirements/server.txt
	$(COMPILE) --python-version 3.13 --extra server --group test pyproject.toml -o requirements/test.txt
	$(COMPILE) --python-version 3.13 --group build -o requirements/build.txt
	$(COMPILE) --python-version 3.11 --extra operator --extra server --group dev --group build pyproject.toml -o requirements/dev.txt

include tests/cluster/cluster.mk tests/e2e/e2e.mk tests/bench/bench.mk tests/demo/demo.mk tests/fuzz/fuzz.mk
