#!/usr/bin/env bash
# ansible_test.sh SUBCOMMAND OPTIONS...: run ansible-test on a fresh copy of the collection; CORE=newest takes that ansible-core's.
# ansible-test insists on .../ansible_collections/<namespace>/<name>, sees through symlinks, and wants a git root of its own.
# What is not part of the collection (galaxy.yml, build_ignore) is left out: it follows other rules and has its own checks.
set -euo pipefail
# shellcheck source=tests/tools/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

place=${ANSIBLE_TEST_COPY:-$1}
copy=$root/.cache/ansible_test/$place/ansible_collections/lastgood/rollback
mkdir -p .cache/ansible_test
exec 9>".cache/ansible_test/$place.lock"
flock 9 # one run at a time: they share the copy, unless ANSIBLE_TEST_COPY names another
rm -rf "$copy"
mkdir -p "$copy"
git ls-files --cached --others --exclude-standard -z -- . ':!molecule' ':!tests/tools' ':!tests/benchmarks' ':!conftest.py' |
    tar --null --ignore-failed-read --files-from=- --create 2>/dev/null | tar --extract --directory="$copy"
git init --quiet "$copy"

# ansible-test starts its virtual environments with a get-pip.py that it downloads, unless one lies here already;
# it hides the environment from pip, so pip's settings must be in a file
cache=$HOME/.ansible/test/cache
exec 8>.cache/ansible_test/pip.lock # of which several may begin at once
flock 8
if [[ ! -d "$cache/pip" ]]; then
    mkdir -p "$cache" "$HOME/.config/pip"
    printf '[global]\nquiet = 2\ncache-dir = %s\n' "$PIP_CACHE_DIR" >"$HOME/.config/pip/pip.conf"
    pip install -qq --disable-pip-version-check --target "$cache/pip" pip==24.2
fi
for version in 24_2 25_2; do
    cp tests/tools/get_pip.py "$cache/get_pip_$version.py"
done
exec 8>&-

cd "$copy"
exec "$root/${CORE:+.cache/}${CORE:-.venv}/bin/ansible-test" "$@"
