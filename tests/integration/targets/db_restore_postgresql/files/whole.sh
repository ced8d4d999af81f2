# shellcheck shell=bash
# Print one checksum of all that a database holds and has, but for its name and the words that pg_dump makes up anew each time.
set -euo pipefail
name=$1
{
    sudo -n -u postgres pg_dump --create "$name" | grep -av -e '^\\restrict' -e '^\\unrestrict' | sed "s/\b$name\b/DATABASE/g"
    sudo -n -u postgres psql --no-psqlrc --quiet --tuples-only --no-align --command \
        "SELECT setrole::regrole, setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = '$name' ORDER BY 1"
} | sha256sum
