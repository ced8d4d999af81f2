#!/usr/bin/env bash
# Strict type checking of the plugins and of the tools.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

mypy plugins conftest.py tests/unit/conftest.py tests/unit/test_architecture.py tests/tools/*.py tests/faults/*.py molecule/shared/*.py molecule/shared/tests/*.py
