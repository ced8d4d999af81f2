# shellcheck shell=bash
# Print one checksum of all that a database holds and has, but for its name and the words that pg_dump makes up anew each time.
set -euo pipefail
name=$1

dump() {
    sudo -n -u postgres pg_dump "$@" | grep -av -e '^\\restrict' -e '^\\unrestrict'
}

{
    dump --create --schema-only "$name" | sed "s/\b$name\b/DATABASE/g"
    dump --data-only "$name" | LC_ALL=C sort # rows have no order
    sudo -n -u postgres psql --no-psqlrc --quiet --tuples-only --no-align --command \
        "SELECT setrole::regrole, setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = '$name' ORDER BY 1"
} | sha256sum
