#!/usr/bin/env bash
# Two releases of the application in releases/, shared/ and current, as www-data: tree.sh FOLDER
set -euo pipefail
place=$1
origin=/srv/git/chom.git
export HOME=/var/www COMPOSER_NO_INTERACTION=1
mkdir -p "$place/releases" "$place/shared/storage/framework" "$place/.dep"
cp /var/www/chom/.env "$place/shared/.env"
number=0
for tag in v1.2.2 v1.2.3; do
    number=$((number + 1))
    release=$place/releases/$number
    mkdir "$release"
    git --git-dir="$origin" archive "$tag" | tar -x -C "$release"
    git --git-dir="$origin" rev-parse "$tag^{commit}" > "$release/REVISION"
    rm -rf "$release/storage"
    ln -s ../../shared/storage "$release/storage"
    ln -s ../../shared/.env "$release/.env"
    (cd "$release" && composer install --no-dev --no-scripts --no-progress --quiet)
    echo "{\"created_at\":\"2026-01-0${number}T00:00:00+0000\",\"release_name\":\"$number\",\"target\":\"$tag\"}" >> "$place/.dep/releases_log"
done
ln -s releases/2 "$place/current"
