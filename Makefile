# Each target is one kind of check; the work is in tests/tools/. CONTRIBUTING.md says when to use which.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

.PHONY: help setup link clean

help: ## this list
	@grep -hE '^[a-z_]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | column -t -s '|'

setup: ## install everything the other targets need (.venv) and link the checkout
	@tests/tools/setup.sh

link: ## let Ansible find this checkout as lastgood.rollback
	@tests/tools/link.sh

clean: ## remove all that make made
	rm -rf .venv .cache .ansible build tests/output
