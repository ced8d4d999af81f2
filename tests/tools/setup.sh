#!/usr/bin/env bash
# Install what `make` needs: the few Debian packages that are missing, .venv, and the link by which Ansible finds this checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

missing=()
tests/tools/find_python.sh 3.11 3.12 3.13 3.14 >/dev/null || missing+=(python3-venv)
for package in git:git shellcheck:shellcheck ssh:openssh-client; do
    type -P "${package%:*}" >/dev/null || missing+=("${package#*:}")
done
if ((${#missing[@]})); then
    if ((EUID != 0)) || ! type -P apt-get >/dev/null; then
        echo "please install first: ${missing[*]}" >&2
        exit 1
    fi
    echo "installing ${missing[*]} ..."
    mkdir -p .cache
    exec 9>.cache/apt.lock # shared with molecule/shared/host/chomhost
    flock 9
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
    exec 9>&-
fi

tests/tools/make_venv.sh .venv "$(tests/tools/find_python.sh 3.11 3.12 3.13 3.14)" requirements/develop.txt
tests/tools/link.sh
