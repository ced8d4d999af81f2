#!/usr/bin/env bash
# Form and style: Python, YAML and Ansible content, shell scripts, changelog fragments. Every tool runs, whatever the others say.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

mapfile -t scripts < <(git ls-files --cached --others --exclude-standard | xargs -r grep -lIE -m1 '^#!.*\b(ba|da)?sh\b|^# shellcheck shell=')

status=0
ruff check --no-cache --quiet --output-format concise . || status=1
ruff format --no-cache --check --quiet --output-format concise . || status=1
shellcheck --external-sources "${scripts[@]}" || status=1
antsibull-changelog lint || status=1
ansible-lint --nocolor --format pep8 || status=1
exit $status
