#!/usr/bin/env bash
# Check the documentation of plugins, roles and guides, and build the site into build/docs; every warning is an error.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self --disallow-unknown-collection-refs --skip-rstcheck .

pages=$root/.cache/docs
rm -rf "$pages" build/docs
mkdir -p "$pages"
chmod 755 "$pages" # antsibull-docs refuses folders that others may write to
antsibull-docs collection --use-current --squash-hierarchy --fail-on-error --dest-dir "$pages" lastgood.rollback
sphinx-build -W --keep-going -q -b html -c docs "$pages" build/docs
echo "the site is build/docs/index.html"
