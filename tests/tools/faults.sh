#!/usr/bin/env bash
# faults.sh [OPTION...]: disturb rollbacks on real hosts; tests/faults/run.py says which options there are.
# Ends with status 77, "skipped", where test hosts cannot be had.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

exec python tests/faults/run.py "$@"
