#!/usr/bin/env bash
# integration.sh [TARGET]: run the modules' integration targets on a real host; all of them, or the one that is named.
# Ends with status 77, "skipped", where test hosts cannot be had.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if ((EUID != 0)); then
    echo "skipped: test hosts are podman containers started as root, and this is not root"
    exit 77
fi

key=$HOME/.ansible/test/id_rsa # the one that ansible-test logs in with
if [[ ! -f $key ]]; then
    mkdir -p "$(dirname "$key")"
    ssh-keygen -q -t rsa -N '' -C lastgood-ansible-test -f "$key"
fi

host=molecule/shared/host/chomhost
trap '"$host" destroy integration' EXIT
INTEGRATION_HOST=$("$host" create --public-key "$key.pub" integration | python -c 'import json, sys; print(json.load(sys.stdin)["ip"])')
export INTEGRATION_HOST
pytest --durations=0 --durations-min=1 -v "tests/integration/test_targets.py${1:+::test_$1}"
