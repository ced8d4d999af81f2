#!/usr/bin/env bash
# Makes releases in origin that cannot be gone to; runs on the test host as www-data.
#   v1.2.5 brings public/new.txt; v1.2.6 locks a copy of chom/billing that nobody has;
#   v1.2.7 installs and boots, and its home page fails
set -euo pipefail
cd /srv/git/chom.git
GIT_INDEX_FILE=$(mktemp -u)
export GIT_INDEX_FILE
trap 'rm -f "$GIT_INDEX_FILE"' EXIT

release() { # TAG PATH: what is on standard input becomes the file at PATH
    git read-tree v1.2.3
    git update-index --add --cacheinfo "100644,$(git hash-object -w --stdin),$2"
    tree=$(git write-tree)
    git -c user.name=CHOM -c user.email=dev@chom.test commit-tree -p 'v1.2.3^{commit}' -m "Release ${1#v}" "$tree" | xargs git tag "$1"
}

release v1.2.5 public/new.txt <<<'new'
git show v1.2.3:composer.lock | jq '(.packages[] | select(.name == "chom/billing")) |=
    (.dist.url = "/opt/chom-packages/billing/7.7.7" | .dist.reference = "0000000")' | release v1.2.6 composer.lock
release v1.2.7 resources/views/home.blade.php <<<'@php throw new RuntimeException("the home page is broken"); @endphp'
