#!/usr/bin/env bash
# molecule.sh [SCENARIO]: run one scenario, or all of them even when some fail, two side by side on hosts of their own.
# Ends with status 77, "skipped", where test hosts cannot be had.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if ((EUID != 0)); then
    echo "skipped: test hosts are podman containers started as root, and this is not root"
    exit 77
fi

export MOLECULE_GLOB='molecule/*/molecule.yml'
export ANSIBLE_FORCE_COLOR=0 NO_COLOR=1 PY_COLORS=0
logs=build/logs/molecule

# molecule remembers that hosts are prepared, across scenarios and runs, and would skip it
forget() { rm -rf "$HOME"/.ansible/tmp/molecule.*; }

# in_lane NUMBER SCENARIO: the output goes to the scenario's own log
in_lane() {
    local began=$SECONDS log=$logs/$2.log result=passed
    export HOME=$HOME/molecule-$1 MOLECULE_HOSTS=molecule-$1
    mkdir -p "$HOME"
    forget
    molecule test --no-shared-state --no-report --scenario-name "$2" >"$log" 2>&1 || result=failed
    exec 9>"$logs/shown"
    flock 9
    echo "$2" >>"$logs/$result"
    echo "===== $2 $result after $((SECONDS - began)) s, $(($(ended passed | wc -l) + $(ended failed | wc -l))) of $SCENARIOS ====="
}

# ended RESULT: the scenarios that ended so
ended() { if [[ -f $logs/$1 ]]; then sort "$logs/$1"; fi; }

remove_hosts() {
    for number in 0 1; do
        MOLECULE_HOSTS=molecule-$number molecule destroy --scenario-name default >"$logs/destroy-$number.log" 2>&1 &
    done
    wait
}

if [[ ${1:-} == --lane ]]; then # from below
    in_lane "$LANE" "$2"
    exit
fi
if (($#)); then
    forget
    exec molecule test --scenario-name "$1"
fi

# molecule test --all would stop at the first scenario that fails; default makes what they share
molecule create --scenario-name default
trap remove_hosts EXIT
rm -rf "$logs"
mkdir -p "$logs"
echo "all that a scenario says is in $logs/SCENARIO.log"
# one of those that take by far the longest begins; they do not run side by side, nor is one left to the end
mapfile -t scenarios < <(
    echo three_hosts
    find molecule -mindepth 2 -maxdepth 2 -name molecule.yml -printf '%h\n' | sed 's,.*/,,' | sort | grep -vxE 'default|three_hosts'
)
export SCENARIOS=${#scenarios[@]}
printf '%s\n' "${scenarios[@]}" |
    xargs --max-args=1 --max-procs=2 --process-slot-var=LANE "${BASH_SOURCE[0]}" --lane
for scenario in $(ended failed); do
    echo "why $scenario failed:"
    python tests/tools/excerpt.py "$logs/$scenario.log"
done
mapfile -t passed < <(ended passed)
mapfile -t failed < <(ended failed)
echo "${#passed[@]} passed, ${#failed[@]} failed ${failed[*]}"
((${#failed[@]} == 0))
