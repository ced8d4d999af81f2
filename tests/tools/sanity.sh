#!/usr/bin/env bash
# sanity.sh [newest]: ansible-test sanity without an ignore file, of our ansible-core or of the newest.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if (($#)); then
    tests/tools/other_core.sh "$1"
    export CORE=$1
fi
python=$root/${CORE:+.cache/}${CORE:-.venv}/bin/python
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
PATH=$PATH:$(dirname "$(readlink -f "$python")")
tests/tools/ansible_test.sh sanity --venv --color no --python "$version"

# what runs on managed hosts, on the oldest Python there
if ((!$#)); then
    if ! oldest=$(tests/tools/find_python.sh 3.9); then
        echo "skipped: no Python 3.9 is here to try the modules on"
    else
        PATH=$PATH:$(dirname "$oldest") tests/tools/ansible_test.sh sanity --venv --color no --python 3.9 --test compile --test import
    fi
fi
