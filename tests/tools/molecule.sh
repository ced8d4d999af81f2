#!/usr/bin/env bash
# molecule.sh [SCENARIO]: run one scenario or all of them, each on hosts of its own.
# Ends with status 77, "skipped", where test hosts cannot be had.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if ((EUID != 0)); then
    echo "skipped: test hosts are podman containers started as root, and this is not root"
    exit 77
fi

rm -rf "$HOME"/.ansible/tmp/molecule.* # else a broken-off run's hosts count as there
export MOLECULE_GLOB='molecule/*/molecule.yml'
export ANSIBLE_FORCE_COLOR=0 NO_COLOR=1 PY_COLORS=0
if (($#)); then
    exec molecule test --scenario-name "$1"
fi
exec molecule test --all
