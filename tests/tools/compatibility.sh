#!/usr/bin/env bash
# compatibility.sh oldest|newest: unit tests and every playbook's syntax on another ansible-core (requirements/<which>.txt).
# Ends with status 77, "skipped", when this machine has no Python for it.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

which=$1
case $which in
oldest) pythons=(3.11 3.12 3.10) ;;
newest) pythons=(3.14 3.13 3.12) ;;
esac
if ! python=$(tests/tools/find_python.sh "${pythons[@]}"); then
    echo "skipped: the $which ansible-core needs one of the Pythons ${pythons[*]}, and none is here"
    exit 77
fi

venv=$root/.cache/$which
tests/tools/make_venv.sh "$venv" "$python" "requirements/$which.txt"
export CORE=$which PATH=$venv/bin:$PATH
ansible --version | sed -n 1p
for playbook in playbooks/*.yml; do
    [[ -e $playbook ]] && ansible-playbook --syntax-check "$playbook" >/dev/null && echo "$playbook is understood"
done
pytest -q tests/unit
