#!/bin/bash
# Remove everything that the tests make, whatever state it is in.
psql() { sudo -n -u postgres psql --no-psqlrc --quiet --tuples-only --no-align "$@"; }
systemctl start postgresql 2> /dev/null || sudo -n systemctl start postgresql
sudo -n systemctl stop --quiet 'lastgood-*'
psql --command "SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname LIKE 'lastgood%'" | psql --file=-
for role in lastgood_shop lastgood_reader lastgood_weak 'lastgood odd ""role""'; do
    psql --command "DROP ROLE IF EXISTS \"$role\""
done
psql --command 'DROP TABLESPACE IF EXISTS lastgood_small'
sudo -n rm -rf /mnt/small/* /home/deploy/lastgood-* /var/tmp/lastgood-*
