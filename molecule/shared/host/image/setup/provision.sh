#!/bin/bash
# Runs once, while the image is built: everything slow happens here.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
app=/var/www/chom
origin=/srv/git/chom.git

as_app() {
    runuser -u www-data -- env HOME=/var/www COMPOSER_NO_INTERACTION=1 "$@"
}

users_and_folders() {
    useradd --create-home --shell /bin/bash deploy
    usermod --password '*' deploy
    install -d -m 0700 -o deploy -g deploy /var/lib/lastgood /var/backups/chom
    install -d -o www-data -g www-data /var/www/.cache /var/www/.config "$app"
    ln -sf /etc/nginx/sites-available/chom /etc/nginx/sites-enabled/chom
    rm -f /etc/nginx/sites-enabled/default
    sed -i 's/^;\?process_control_timeout.*/process_control_timeout = 10s/' /etc/php/8.4/fpm/php-fpm.conf
    grep -q '^process_control_timeout = 10s' /etc/php/8.4/fpm/php-fpm.conf
    nginx -t -q
    for variant in full restricted; do
        chmod 0440 "/usr/local/share/chom/sudoers.$variant"
        visudo --check --quiet --file="/usr/local/share/chom/sudoers.$variant"
    done
}

units() {
    for queue in worker default emails notifications reports; do
        sed "s/@QUEUE@/$queue/" /usr/local/share/chom/worker.service.in > "/etc/systemd/system/chom-queue-$queue.service"
        systemctl enable --quiet "chom-queue-$queue.service"
    done
    systemctl enable --quiet chom-scheduler.timer chom-nightly-dump.timer
    systemctl disable --quiet postgresql.service # the application's database is MariaDB unless other_database.sh moves it
    systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer
    systemd-machine-id-setup > /dev/null
}

source_code() {
    python3 "$here/packages.py" /opt/chom-packages
    install -d /srv/git
    python3 "$here/history.py" "$here/../app" "$origin"
    chown -R www-data:www-data "$origin"
    as_app git clone --quiet --no-tags "$origin" "$app"
    as_app git -C "$app" fetch --quiet origin 'refs/tags/*:refs/tags/*'
    # The second release is what runs; the tag of the third appears in origin only, as a release made elsewhere does.
    as_app git --git-dir="$origin" -c user.name=CHOM -c user.email=dev@chom.test \
        tag --annotate --message='Release 1.2.4' v1.2.4 bad/none
}

environment() {
    db_password="pw-$(head -c 12 /dev/urandom | base64)#1"
    redis_password="$(head -c 24 /dev/urandom | base64 | tr '+/' 'xy')="
    install -m 0640 -o www-data -g www-data "$here/../app/v1.2.2/.env.example" "$app/.env"
    sed -i -e "s|^DB_PASSWORD=.*|DB_PASSWORD=\"$db_password\"|" \
        -e "s|^REDIS_PASSWORD=.*|REDIS_PASSWORD=$redis_password|" \
        -e "s|^APP_KEY=.*|APP_KEY=base64:$(head -c 32 /dev/urandom | base64)|" "$app/.env"
    sed -i "s|^# requirepass .*|requirepass $redis_password|" /etc/redis/redis.conf
    grep -q '^requirepass ' /etc/redis/redis.conf
}

start_database() {
    install -d -o mysql -g mysql /run/mysqld
    mariadbd --user=mysql 2> /tmp/mariadbd.log &
    for _ in $(seq 300); do
        mariadb-admin --silent ping 2> /dev/null && return
        sleep 0.1
    done
    return 1
}

database() {
    mariadb <<SQL
CREATE DATABASE chom CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER chom@localhost IDENTIFIED BY '$db_password';
CREATE USER chom@'127.0.0.1' IDENTIFIED BY '$db_password';
GRANT ALL ON chom.* TO chom@localhost;
GRANT ALL ON chom.* TO chom@'127.0.0.1';
CREATE USER deploy@localhost IDENTIFIED VIA unix_socket;
GRANT ALL ON *.* TO deploy@localhost WITH GRANT OPTION;
SQL
}

release() {
    cd "$app"
    as_app git checkout --quiet "refs/tags/$1"
    as_app composer install --no-dev --optimize-autoloader --no-progress --quiet
    as_app php artisan migrate --force --no-interaction
}

caches() {
    for kind in config route view event; do
        as_app php artisan "$kind:cache" --quiet
    done
}

ordinary_log() {
    as_app tee "$app/storage/logs/laravel.log" > /dev/null <<'LOG'
[2026-01-04 08:12:31] production.INFO: Sign-up accepted {"organization":17}
[2026-01-04 09:40:02] production.INFO: Site created {"site":1412}
[2026-01-04 13:05:44] production.WARNING: Slow query {"milliseconds":812}
[2026-01-04 17:22:10] production.INFO: Report sent {"organization":230}
LOG
}

phase() {
    echo "- $1 ($SECONDS s)"
    "$@"
}

phase users_and_folders
phase units
phase source_code
phase environment
phase start_database
phase database
phase release v1.2.2
phase release v1.2.3
mariadb --default-character-set=utf8mb4 chom < "$here/seed.sql"
phase caches
phase ordinary_log
/usr/local/sbin/chom-nightly-dump
mariadb -e 'SET GLOBAL innodb_fast_shutdown = 0'
mariadb-admin shutdown
wait
rm -rf /var/www/.cache/composer /tmp/mariadbd.log
