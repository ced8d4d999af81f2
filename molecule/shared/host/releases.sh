#!/bin/bash
# Lay the application of a fresh host out as Deployer does: releases/<n>/, shared/, current. Runs on the host as root, on standard input.
# The site is off meanwhile; chom-deploy makes new releases from then on.
set -euo pipefail
app=/var/www/chom

systemctl stop chom-scheduler.timer 'chom-queue-*.service'
mv "$app" /var/www/.chom
install -d -o www-data -g www-data "$app" "$app/releases" "$app/shared" "$app/.dep"
mv /var/www/.chom/storage /var/www/.chom/.env "$app/shared/"
rm -rf /var/www/.chom

cat > /usr/local/sbin/chom-deploy << 'END'
#!/bin/bash
# Deploy a release as Deployer does, without looking whether it works:   chom-deploy v1.2.3 | bad/crash
set -uo pipefail
app=/var/www/chom
origin=/srv/git/chom.git

as_app() {
    runuser -u www-data -- env HOME=/var/www COMPOSER_NO_INTERACTION=1 "$@"
}

die() {
    echo "chom-deploy: $*" >&2
    exit 1
}

step() {
    echo "- $*"
    as_app "$@" || echo "  failed with $?, going on"
}

set_env() {
    as_app sed -i "/^${1%%=*}=/d" "$app/shared/.env"
    echo "$1" | as_app tee --append "$app/shared/.env" > /dev/null
}

[ $# = 1 ] || die "usage: chom-deploy TAG|bad/KIND"
target=$1 version=$1
if [[ $target == bad/* ]]; then
    version=v1.2.4
    as_app env GIT_COMMITTER_DATE=2026-01-05T10:00:00Z git --git-dir="$origin" -c user.name=CHOM -c user.email=dev@chom.test \
        tag --force --annotate --message="Release 1.2.4" "$version" "refs/heads/$target" > /dev/null || die "no such release: $target"
fi
commit=$(as_app git --git-dir="$origin" rev-parse --quiet --verify "$target^{commit}") || die "no such release: $target"
number=$(($(find "$app/releases" -mindepth 1 -maxdepth 1 | wc -l) + 1))
release=$app/releases/$number
as_app mkdir "$release"
as_app ln -s "releases/$number" "$app/release"
echo "{\"created_at\":\"$(date -u +%Y-%m-%dT%H:%M:%S+0000)\",\"release_name\":\"$number\",\"user\":\"chom\",\"target\":\"$version\"}" \
    | as_app tee --append "$app/.dep/releases_log" > /dev/null
as_app git --git-dir="$origin" archive "$commit" | as_app tar -x -C "$release" || die "git archive failed"
echo "$commit" | as_app tee "$release/REVISION" > /dev/null
as_app rm -rf "$release/storage"
as_app ln -s ../../shared/storage "$release/storage"
as_app ln -s ../../shared/.env "$release/.env"
cd "$release" || die "no $release"
step composer install --no-dev --optimize-autoloader --no-progress --quiet
if [ -f deploy/env.set ]; then
    while IFS= read -r line; do
        set_env "$line"
    done < deploy/env.set
fi
step php artisan migrate --force --no-interaction --quiet
for kind in config route view event; do
    step php artisan "$kind:cache" --quiet
done
as_app mv -T "$app/release" "$app/current"
systemctl reload php8.4-fpm.service || die "php8.4-fpm cannot be reloaded"
systemctl restart chom-queue-{worker,default,emails,notifications,reports}.service || die "the workers cannot be restarted"
echo "deployed $version as release $number ($commit)"
END

sed -i "s,root $app/public,root $app/current/public," /etc/nginx/sites-available/chom
sed -i "s,$app,$app/current," /etc/systemd/system/chom-queue-*.service /etc/systemd/system/chom-scheduler.service
systemctl daemon-reload
chom-deploy v1.2.2 > /dev/null < /dev/null
chom-deploy v1.2.3 > /dev/null < /dev/null
nginx -t -q
systemctl reload nginx.service
systemctl start chom-scheduler.timer
