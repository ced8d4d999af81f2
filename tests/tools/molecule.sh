#!/usr/bin/env bash
# molecule.sh [SCENARIO]: run one scenario, or all of them even when some fail.
# Ends with status 77, "skipped", where test hosts cannot be had.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if ((EUID != 0)); then
    echo "skipped: test hosts are podman containers started as root, and this is not root"
    exit 77
fi

# molecule remembers that hosts are prepared, across scenarios and runs, and would skip it
forget() { rm -rf "$HOME"/.ansible/tmp/molecule.*; }

forget
export MOLECULE_GLOB='molecule/*/molecule.yml'
export ANSIBLE_FORCE_COLOR=0 NO_COLOR=1 PY_COLORS=0
if (($#)); then
    exec molecule test --scenario-name "$1"
fi

# molecule test --all would stop at the first scenario that fails; default makes what they share
molecule create --scenario-name default
trap 'molecule destroy --scenario-name default' EXIT
logs=build/logs/molecule
rm -rf "$logs"
mkdir -p "$logs"
failed=()
passed=0
for file in molecule/*/molecule.yml; do
    scenario=$(basename "$(dirname "$file")")
    [[ $scenario == default ]] && continue
    forget
    if molecule test --no-shared-state --no-report --scenario-name "$scenario" 2>&1 | tee "$logs/$scenario.log"; then
        passed=$((passed + 1))
    else
        failed+=("$scenario")
    fi
done
for scenario in "${failed[@]}"; do
    echo "why $scenario failed:"
    grep -E '^E   |^FAILED|^fatal: |^\[ERROR\]|CRITICAL' "$logs/$scenario.log" | tail -n 12 || tail -n 12 "$logs/$scenario.log"
done
echo "$passed passed, ${#failed[@]} failed ${failed[*]}"
((${#failed[@]} == 0))
