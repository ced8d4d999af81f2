#!/usr/bin/env bash
# Let Ansible find this checkout as the collection lastgood.rollback, wherever the checkout is and without installing it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

namespace=.ansible/collections/ansible_collections/lastgood
if [[ ! -L "$namespace/rollback" ]]; then
    rm -rf "$namespace"
    mkdir -p "$namespace"
    ln -s ../../../.. "$namespace/rollback"
fi
