#!/bin/bash
# Move the application of a fresh host from MariaDB to another server, with rows of its own.    other_database.sh postgresql|sqlite
# Runs on the host as root, on standard input. The site is off meanwhile.
set -euo pipefail
engine=$1
app=/var/www/chom
password=$(sed -n 's/^DB_PASSWORD="\(.*\)"$/\1/p' "$app/.env")

as_app() {
    runuser -u www-data -- "$@"
}

settings() {
    local pair
    for pair in "$@"; do
        sed -i "s|^${pair%%=*}=.*|$pair|" "$app/.env"
    done
}

# The same in PostgreSQL and in SQLite: 1,000 organizations, 5,000 users, 20,000 sites, with NULLs, quotes and 4-byte characters.
rows() {
    cat << 'SQL'
INSERT INTO organizations (id, name, slug, notes, created_at, updated_at)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 1000)
SELECT n, CASE n % 4 WHEN 0 THEN 'Ålesund ' WHEN 1 THEN 'O''Brien & "Sons" ' WHEN 2 THEN 'Rocket 🚀 ' ELSE 'Back\slash ' END || n,
       'org-' || n, CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'ok 👍; -- ' || n END, '2024-01-15 08:00:00', '2024-01-15 08:00:00'
FROM series;

INSERT INTO users (id, organization_id, name, email, phone, password, created_at, updated_at)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 5000)
SELECT n, CASE WHEN n % 17 <> 0 THEN 1 + n % 1000 END, CASE n % 2 WHEN 0 THEN 'Zoë ' ELSE 'D''Arcy 😀 ' END || n,
       'user' || n || '@example.test', CASE WHEN n % 3 <> 0 THEN '+49 30 ' || n END,
       '$2y$04$eF8Yt0v5nSU2uO6RjX1GpOkF3LqzN2YbTgH0mQ1dW9cVxKZsA7BJu', '2024-02-01 00:00:00', '2024-02-01 00:00:00'
FROM series;

INSERT INTO sites (id, organization_id, user_id, domain, plan, title, settings, created_at, updated_at, deleted_at)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 20000)
SELECT n, 1 + n % 1000, CASE WHEN n % 11 <> 0 THEN 1 + n % 5000 END, 'site' || n || '.example.test',
       CASE WHEN n % 10 = 0 THEN 'business' ELSE 'basic' END, CASE WHEN n % 5 <> 0 THEN 'Title ✨ ' || n END, NULL,
       '2024-03-01 00:00:00', '2024-03-01 00:00:00', CASE WHEN n % 50 = 0 THEN CURRENT_TIMESTAMP END
FROM series;
SQL
}

# The application's own role owns the database; deploy may make databases for that role, and logs in as itself through the socket.
prepare_postgresql() {
    systemctl start postgresql.service
    runuser -u postgres -- psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 << SQL
CREATE ROLE chom LOGIN PASSWORD '$password';
CREATE ROLE deploy LOGIN CREATEDB IN ROLE chom;
CREATE DATABASE chom OWNER chom;
SQL
    settings DB_CONNECTION=pgsql DB_PORT=5432
}

fill_postgresql() {
    { echo 'SET ROLE chom;' && rows; } | runuser -u postgres -- psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 chom
    runuser -u postgres -- psql --quiet --no-psqlrc chom << 'SQL' > /dev/null
SELECT setval('organizations_id_seq', 1000), setval('users_id_seq', 5000), setval('sites_id_seq', 20000);
SQL
}

prepare_sqlite() {
    install -d -o www-data -g www-data /var/lib/chom
    as_app sqlite3 /var/lib/chom/chom.sqlite 'PRAGMA journal_mode = WAL' > /dev/null
    settings DB_CONNECTION=sqlite DB_DATABASE=/var/lib/chom/chom.sqlite
}

fill_sqlite() {
    rows | as_app sqlite3 /var/lib/chom/chom.sqlite
}

systemctl stop chom-scheduler.timer chom-scheduler.service 'chom-queue-*.service' chom-nightly-dump.timer
"prepare_$engine"
cd "$app"
as_app php artisan config:cache --quiet
as_app php artisan migrate --force --no-interaction --quiet
"fill_$engine"
systemctl mask --quiet --now mariadb.service
systemctl reload php8.4-fpm.service
systemctl start chom-queue-{worker,default,emails,notifications,reports}.service chom-scheduler.timer
