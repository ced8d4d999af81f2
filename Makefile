# Each target is one kind of check; the work is in tests/tools/. CONTRIBUTING.md says when to use which.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
TARGET ?=
SCENARIO ?=
RUNS ?= 5
ONLY ?=

.PHONY: help demo setup lint types units compatibility sanity docs integration molecule faults faults-core test coverage bench changelog clean

help: ## this list
	@grep -hE '^[a-z_-]+:.*##' Makefile | sed -E 's/:[^#]*## /|/' | column -t -s '|'

demo: ## break a production-like host, roll it back, show what came of it (KEEP=1 keeps the host)
	@tests/tools/demo.sh

setup: ## install everything the other targets need (.venv) and let Ansible find this checkout
	@tests/tools/setup.sh

lint: setup ## ruff, ansible-lint (production), yamllint, shellcheck, changelog fragments
	@tests/tools/lint.sh

types: setup ## mypy, strict
	@tests/tools/types.sh

units: setup ## unit tests with branch coverage
	@tests/tools/units.sh

compatibility: setup ## unit tests and playbook syntax on the oldest and the newest ansible-core
	@for which in oldest newest; do tests/tools/compatibility.sh $$which || test $$? = 77; done

sanity: setup ## ansible-test sanity, without an ignore file, of our ansible-core and of the newest
	@tests/tools/sanity.sh
	@tests/tools/sanity.sh newest || test $$? = 77

docs: setup ## check the documentation and build the site into build/docs
	@tests/tools/docs.sh

integration: setup ## the modules on a real host; one of them with TARGET=name
	@tests/tools/integration.sh $(TARGET)

molecule: setup ## whole rollbacks on real hosts; one scenario with SCENARIO=name
	@tests/tools/molecule.sh $(SCENARIO)

faults: setup ## disturb rollbacks at every phase: build/faults.json, docs/faults.md; some with ONLY=fault:phase
	@tests/tools/faults.sh $(if $(ONLY),--only "$(ONLY)")

faults-core: setup ## the few disturbances that hurt most
	@tests/tools/faults.sh --core

test: setup ## everything above, of the disturbances the core
	@python tests/tools/test_all.py

coverage: setup ## which requirement the last test run showed: docs/coverage.md, build/coverage.json
	@python tests/tools/coverage.py

bench: setup ## speed against an operator's scripts on one host (RUNS=5, ONLY=name): build/benchmarks.json
	@python tests/benchmarks/bench.py --runs $(RUNS) $(if $(ONLY),--only $(ONLY))

changelog: setup ## write CHANGELOG.md for the version in galaxy.yml from the fragments
	@antsibull-changelog release --update-existing --reload-plugins --refresh

clean: ## remove all that make made, containers and images too
	@if type -P podman >/dev/null; then molecule/shared/host/chomhost destroy --all; podman images --quiet --filter reference='localhost/lastgood-*' | sort -u | xargs --no-run-if-empty podman rmi --force; fi
	rm -rf .venv .cache .ansible .hypothesis build tests/output
