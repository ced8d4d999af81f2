#!/usr/bin/env bash
# Form and style: Python, YAML and Ansible content, shell scripts, changelog fragments.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

ruff check --no-cache --quiet --output-format concise .
ruff format --no-cache --check --quiet .
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard | xargs -r grep -lIE -m1 '^#!.*\b(ba|da)?sh\b|^# shellcheck shell=')
shellcheck --external-sources "${scripts[@]}"
antsibull-changelog lint
ansible-lint --nocolor
