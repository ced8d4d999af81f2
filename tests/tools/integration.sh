#!/usr/bin/env bash
# integration.sh [TARGET|application|mariadb|postgresql]: run the modules' integration targets on real hosts; all of them, the one that is
# named, or one third, on hosts of its own: those of the application, of its database, or of servers of PostgreSQL.
# Ends with status 77, "skipped", where test hosts cannot be had.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if ((EUID != 0)); then
    echo "skipped: test hosts are podman containers started as root, and this is not root"
    exit 77
fi

key=$HOME/.ansible/test/id_rsa # the one that ansible-test logs in with
mkdir -p .cache "$(dirname "$key")"
exec 9>.cache/integration.lock # the others may need it at the same moment
flock 9
if [[ ! -f $key ]]; then
    ssh-keygen -q -t rsa -N '' -C lastgood-ansible-test -f "$key"
fi
exec 9>&-

host_name=integration
case ${1:-} in
    '') chosen=(tests/integration/test_targets.py) ;;
    application) chosen=(tests/integration/test_targets.py -k 'not postgresql and not db_ and not data_') ;;
    mariadb) chosen=(tests/integration/test_targets.py -k 'not postgresql and (db_ or data_)') ;;
    postgresql) chosen=(tests/integration/test_targets.py -k postgresql) ;;
    *) chosen=("tests/integration/test_targets.py::test_$1") ;;
esac
case ${1:-} in
    mariadb | postgresql)
        host_name=integration-$1
        export ANSIBLE_TEST_COPY=$1 # beside the others
        ;;
esac
if [[ ${1:-} == postgresql ]]; then # starts its own
    exec pytest --durations=0 --durations-min=1 -v "${chosen[@]}"
fi

host=molecule/shared/host/chomhost
trap '"$host" destroy "$host_name"' EXIT
INTEGRATION_HOST=$("$host" create --public-key "$key.pub" "$host_name" | python -c 'import json, sys; print(json.load(sys.stdin)["ip"])')
export INTEGRATION_HOST
pytest --durations=0 --durations-min=1 -v "${chosen[@]}"
