#!/usr/bin/env bash
# Unit tests with branch coverage of plugins/; arguments go to pytest.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

scratch_in_memory
pytest -q --durations=5 --cov --cov-report=term tests/unit "$@"
