#!/usr/bin/env bash
# find_python.sh 3.11 3.12 ...: print the first of these interpreters that this machine has and that works.
# pyenv's shims answer for versions that are not active, so every candidate is started once.
set -euo pipefail

pyenv=$(type -P pyenv || true)
pyenv=${PYENV_ROOT:-${pyenv%/bin/pyenv}}
for version in "$@"; do
    for candidate in "/usr/bin/python$version" "$(type -P "python$version" || true)" "$pyenv/versions/$version".*/bin/"python$version"; do
        if [[ -x $candidate ]] && "$candidate" -c "import venv, ensurepip" 2>/dev/null; then
            echo "$candidate"
            exit 0
        fi
    done
done
exit 1
