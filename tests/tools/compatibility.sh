#!/usr/bin/env bash
# compatibility.sh oldest|newest: unit tests and every playbook's syntax on another ansible-core (requirements/<which>.txt).
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

tests/tools/other_core.sh "$1"
export CORE=$1 PATH=$root/.cache/$1/bin:$PATH
ansible --version | sed -n 1p
for playbook in playbooks/*.yml; do
    ansible-playbook --syntax-check "$playbook" >/dev/null
done
scratch_in_memory
pytest -q tests/unit
