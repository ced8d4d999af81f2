# shellcheck shell=bash
# Sourced by the scripts beside it: run from the root, with .venv first, and without touching or reading the user's own files.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
root=$PWD
if [[ ! -x .venv/bin/python ]]; then
    echo "run 'make setup' first" >&2
    exit 1
fi

# pip's downloads are worth keeping for all checkouts; everything else that tools leave in a home stays in .cache
export PIP_CACHE_DIR=${PIP_CACHE_DIR:-${HOME:-/tmp}/.cache/pip}
export HOME=$root/.cache/home
mkdir -p "$HOME"

PATH=$root/.venv/bin:$(tr : '\n' <<<"$PATH" | grep -v pyenv/shims | paste -sd :)
export PATH
export PYTHONDONTWRITEBYTECODE=1
export ANSIBLE_CONFIG=$root/ansible.cfg
export HYPOTHESIS_STORAGE_DIRECTORY=$root/.cache/hypothesis

# scratch_in_memory: unit tests make and remove many thousand small files; where there is memory for them that takes half the time
scratch_in_memory() {
    scratch=$(mktemp -d /dev/shm/lastgood-XXXXXX 2>/dev/null) || return 0
    trap 'rm -rf "$scratch"' EXIT
    if (($(df --output=avail -k "$scratch" | tail -n 1) > 2000000)) && cp "$(type -P true)" "$scratch/try" && "$scratch/try" 2>/dev/null; then
        export TMPDIR=$scratch
    fi
}
