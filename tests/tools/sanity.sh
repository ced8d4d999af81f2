#!/usr/bin/env bash
# ansible-test sanity without an ignore file: with the interpreter of .venv, and on the oldest Python that modules support.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
tests/tools/ansible_test.sh sanity --venv --color no --python "$version" "$@"
if oldest=$(tests/tools/find_python.sh 3.9); then
    PATH=$PATH:$(dirname "$oldest") tests/tools/ansible_test.sh sanity --venv --color no --python 3.9 --test compile --test import "$@"
else
    echo "skipped: no Python 3.9 here, so the modules' oldest Python was not tried"
fi
