#!/usr/bin/env bash
# Prepare the tools and the host's image side by side, then run the demonstration.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

molecule/shared/host/chomhost build >/dev/null &
image=$!
trap 'kill "$image" 2>/dev/null || :' EXIT
tests/tools/setup.sh
wait "$image"
trap - EXIT
PATH=$PWD/.venv/bin:$PATH ANSIBLE_CONFIG=$PWD/ansible.cfg exec .venv/bin/python tests/tools/demo.py
