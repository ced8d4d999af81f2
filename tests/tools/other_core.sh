#!/usr/bin/env bash
# other_core.sh oldest|newest: make .cache/<which> with that ansible-core (requirements/<which>.txt).
# Ends with status 77, "skipped", when this machine has no Python for it.
set -euo pipefail

case $1 in
oldest) pythons=(3.11 3.12 3.10) ;;
newest) pythons=(3.14 3.13 3.12) ;;
esac
if ! python=$(tests/tools/find_python.sh "${pythons[@]}"); then
    echo "skipped: the $1 ansible-core needs one of the Pythons ${pythons[*]}, and none is here"
    exit 77
fi
tests/tools/make_venv.sh ".cache/$1" "$python" "requirements/$1.txt"
