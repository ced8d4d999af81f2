# shellcheck shell=bash
# Remove everything that the tests make, whatever state it is in.
set -euo pipefail
psql() { sudo -n -u postgres psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }
sudo -n systemctl stop --quiet 'lastgood-*'
pg_isready --quiet || sudo -n systemctl restart 'postgresql@*.service' postgresql
until pg_isready --quiet; do sleep 0.1; done
sudo -n rm -f /mnt/small/filler
psql --command "SELECT format('DROP DATABASE %I WITH (FORCE);', datname) FROM pg_database WHERE datname LIKE 'lastgood%'" | psql --file=-
psql --command "SELECT format('DROP ROLE %I;', rolname) FROM pg_roles WHERE rolname LIKE 'lastgood%'" | psql --file=-
psql --command 'DROP TABLESPACE IF EXISTS lastgood_small'
sudo -n rm -rf /mnt/small/* /home/deploy/lastgood-*
