# Everything that a fresh Debian 12 with python3, make and git needs to run, test and measure triveni.
# `make` alone lists the targets. Nothing is installed outside .venv but Debian's own packages, if they are missing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# kind where a Docker engine answers; elsewhere, on Linux and as root, machines made of namespaces.
CLUSTER := $(BIN)/python -m tests.e2e.cluster
LOCKS := bootstrap client worker operator dev docs
say = @printf '\033[1m==> %s\033[0m\n' $(1)

.PHONY: help setup run test e2e coverage lint format docs docs-serve cluster-up cluster-load cluster-down cluster-status \
	images sbom audit chaos fuzz mutants promises bench bench-protocols bench-models bench-extraction bench-peers \
	generate lock example models notebooks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- set-up: one stamp for each step, so that a second run does nothing -------------------------------------------

setup: .venv/.triveni ## make .venv from the locked, hashed requirements

# Debian's python3 comes without venv; the native kernel wants a compiler and Python's headers.
DEBIAN := python3 python3-venv python3-dev gcc libc6-dev
have_venv := $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null
have_compiler := $(PYTHON) -c 'import os, sysconfig as s; open(os.path.join(s.get_path("include"), "Python.h"))' \
	2>/dev/null && command -v gcc >/dev/null

.venv/bin/python:
	@if ! { $(have_venv) && $(have_compiler); } && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    printf '\033[1m==> installing from Debian: $(DEBIAN)\033[0m\n'; \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -qq && apt-get install -qq -y --no-install-recommends $(DEBIAN) >/dev/null; \
	fi
	@$(have_venv) || { echo 'This Python has no venv module. As root: apt-get install $(DEBIAN)' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "triveni needs Python 3.11 or newer; \
	set PYTHON=/path/to/one")'
	$(call say,'creating .venv')
	@rm -rf .venv && $(PYTHON) -m venv .venv

.venv/.bootstrap: requirements/bootstrap.lock | .venv/bin/python
	$(call say,'installing uv and setuptools')
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

.venv/.locked: requirements/dev.lock .venv/.bootstrap
	$(call say,'installing the locked requirements (TensorFlow is among them: a minute on a first run)')
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --require-hashes -r $<
	@touch $@

# Again when the kernel's source changes.
.venv/.triveni: pyproject.toml .venv/.locked $(wildcard operator/triveni/mpc/execute/kernel/*.[ch])
	$(call say,'installing triveni$(,) building its kernel')
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --reinstall-package triveni -e .
	@$(BIN)/python -c 'import triveni.mpc.execute._kernel' 2>/dev/null \
	    || printf '\033[1;33m==> NO NATIVE KERNEL (no compiler?): predictions run in numpy, several times slower\033[0m\n'
	@touch $@

, := ,

# --- use ----------------------------------------------------------------------------------------------------------

run: setup ## serve the MNIST example on this machine until its quota is reached (ARGS="--quota 10")
	@$(BIN)/triveni run examples/mnist.yaml $(ARGS)

# --- check --------------------------------------------------------------------------------------------------------

# The order is that of cost; what fails ends the run, with pytest's summary as the last line. Before the last tier two
# processes share the tests: more would spoil the bounds on time, since most of them are three workers and a client.
# The last tier wants a cluster: where none can come up that is said loudly, and it is an error in CI.
TIERS := tests/unit tests/integration
pytest = $(BIN)/python -m pytest $(1) $(ARGS) || [ $$? = 5 ]  # which says that ARGS leave out all of them
pytest_tiers = $(call pytest,$(TIERS) --numprocesses=2 --dist=loadgroup)

test: setup lint docs ## lint, the docs, then every tier of tests that can run here (ARGS="-k quota")
	@for tier in $(TIERS); do echo "==> tier $${tier#tests/}: runs"; done
	@if why=$$($(CLUSTER) check 2>&1); then \
	    echo '==> tier e2e: runs, after these'; \
	    $(CLUSTER) prepare; \
	    $(pytest_tiers); \
	    $(call pytest,tests/e2e); \
	elif [ "$${CI:-}" = true ]; then \
	    printf '\033[1;31m==> TIER e2e CANNOT RUN: %s\033[0m\n' "$$why" >&2; exit 1; \
	else \
	    printf '\033[1;33m==> TIER e2e DOES NOT RUN: %s\033[0m\n' "$$why"; \
	    $(pytest_tiers); \
	fi

e2e: setup ## the tests on a cluster alone: it comes up, and goes down whatever happens (ARGS="-k quota")
	@$(CLUSTER) prepare
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

chaos: setup ## kill workers, sharing processes and controllers 200 times while clients count what they get (ARGS="--seed 7")
	@$(BIN)/python -m tests.chaos $(ARGS)

fuzz: setup ## a million hostile inputs for every parser, and what came of them (ARGS="--inputs 10000000 --seed 2")
	@$(BIN)/python -m tests.fuzz $(ARGS)

coverage: setup ## the tests again but those on a cluster, with the lines and branches that they leave out
	@mkdir -p build
	@$(BIN)/python -m pytest $(TIERS) --cov --cov-report=term-missing:skip-covered $(ARGS)

mutants: setup ## break the product on purpose, in copies, and show which test catches it (ARGS="-k tls --jobs 1")
	@$(BIN)/python -m tests.mutants $(ARGS)

promises: setup ## run the tests that docs/threat-model.md names, and write there what came of them (ARGS="every mask")
	@$(CLUSTER) prepare
	@$(BIN)/python -m tests.promises $(ARGS)

# Vulnerabilities become known after a lock was made, so this asks the internet, and is no part of the tests.
AUDIT := pip-audit==2.10.1
audit: setup ## look up the locked versions among the known vulnerabilities; needs the internet
	@$(BIN)/uv tool run --from $(AUDIT) pip-audit --strict --disable-pip --require-hashes \
	    $(LOCKS:%=-r requirements/%.lock) $(ARGS)

lint: setup ## ruff, mypy, import contracts
	$(call say,'ruff')
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo 'not formatted; run: make format' >&2; exit 1; }
	$(call say,'mypy')
	@$(BIN)/mypy --no-error-summary
	$(call say,'import contracts')
	@out=$$($(BIN)/lint-imports) || { echo "$$out"; exit 1; }

format: setup ## let ruff fix and format
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

# --- read ---------------------------------------------------------------------------------------------------------

.venv/.docs: requirements/docs.lock .venv/.triveni
	$(call say,'installing what builds the docs')
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --require-hashes -r $<
	@touch $@

docs: .venv/.docs ## build the site into build/site; a broken link or anchor is an error
	$(call say,'docs')
	@$(BIN)/python -m docs.generate
	@said=$$($(BIN)/zensical build --clean --strict 2>&1) || { echo "$$said"; exit 1; }
	@$(BIN)/python -m docs.generate.outside

docs-serve: .venv/.docs ## the site at http://127.0.0.1:8000, built again after each change of a page (ARGS="-a HOST:PORT")
	@$(BIN)/python -m docs.generate
	@$(BIN)/zensical serve $(ARGS)

# --- look around --------------------------------------------------------------------------------------------------

cluster-up: setup ## a real cluster of three nodes, with both images; stays until cluster-down (ARGS="--nodes 1")
	@$(CLUSTER) up $(ARGS)

cluster-load: setup ## build the images again and put them onto the running cluster
	@$(CLUSTER) load $(ARGS)

cluster-down: setup ## take it down; nothing is left but its logs and the caches
	@$(CLUSTER) down $(ARGS)

cluster-status: setup ## what of it is up, and how to talk to it
	@$(CLUSTER) status $(ARGS)

images: setup ## build the two images, with Docker or with buildah
	@$(CLUSTER) images

sbom: setup ## build them; what they are made of goes to build/sbom (CycloneDX)
	@$(CLUSTER) sbom

# --- measure ------------------------------------------------------------------------------------------------------

bench: setup ## measure; figures go to build/bench.json
	@mkdir -p build && $(BIN)/python -m benchmarks.run $(ARGS)

bench-protocols: setup ## measure both protocols at several round trips between the workers
	@mkdir -p build && $(BIN)/python -m benchmarks.protocols $(ARGS)

bench-models: setup ## serve models people know beside plain Keras; the table goes into docs/models.md
	@mkdir -p build && $(BIN)/python -m benchmarks.models --docs docs/models.md $(ARGS)

bench-extraction: setup ## attack a small network by its answers; the table goes into docs/threat-model.md
	@mkdir -p build && $(BIN)/python -m benchmarks.extraction --docs docs/threat-model.md $(ARGS)

bench-peers: setup ## measure other systems on the same network, in throwaway environments
	@mkdir -p build && $(BIN)/python -m benchmarks.peers $(ARGS)

# --- maintain -----------------------------------------------------------------------------------------------------

generate: setup ## write crds/ again from the types that it describes, and the table of layers in the docs
	@mkdir -p build crds
	@$(BIN)/python -m triveni.api.crd > build/crd.yaml
	@mv build/crd.yaml crds/triveni.dev_securemodels.yaml
	@$(BIN)/python -m tests.layers.table

# Client, worker and operator are subsets of dev: the same versions are tested and shipped.
lock: .venv/.bootstrap ## make requirements/*.lock again; keeps versions that still fit (ARGS=--upgrade renews them)
	@lock() { \
	    printf '\033[1m==> requirements/%s.lock\033[0m\n' $$1; \
	    $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	        --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements/$$1.lock "$${@:2}"; \
	}; \
	lock dev --all-extras --group dev $(ARGS); \
	same='-c requirements/dev.lock'; \
	lock client $$same; \
	lock worker --extra worker --extra compile --extra sharing $$same; \
	lock operator --extra operator $$same; \
	lock_group() { \
	    printf '\033[1m==> requirements/%s.lock\033[0m\n' $$1; \
	    $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	        --no-emit-find-links --group pyproject.toml:$$2 $$same -o requirements/$$1.lock $(ARGS); \
	}; \
	lock_group docs docs; \
	lock_group bootstrap build

example: setup ## train the MNIST example again and write its files
	@$(BIN)/python examples/mnist/train.py
	@$(BIN)/python examples/mnist/manifest.py

notebooks: setup ## run the example's three notebooks again and store what they show
	@$(BIN)/python examples/notebooks/run.py

models: setup ## train the models people know again and write their files
	@$(BIN)/python -m examples.models.train $(ARGS)

clean: ## remove what was built here, .venv too; caches in ~/.cache/triveni stay
	@[ ! -e build/e2e-cluster/cluster.json ] || $(CLUSTER) down
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .cache operator/*.egg-info
	@find operator tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
	@rm -f operator/triveni/mpc/execute/_kernel*.so
