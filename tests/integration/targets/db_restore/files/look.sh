#!/usr/bin/env bash
# look.sh DATABASE: one line that tells everything in a database: the checksum of each table, and how everything is declared,
# without the numbers that the next rows get, since those go on.
set -euo pipefail
ask() { mariadb --batch --skip-column-names --execute "$1" "$2"; }
tables=$(ask "SELECT CONCAT('CHECKSUM TABLE \`', REPLACE(table_name, '\`', '\`\`'), '\` EXTENDED;') FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_type NOT IN ('VIEW', 'SEQUENCE') ORDER BY table_name" "$1")
checksums=$(mariadb --batch --skip-column-names "$1" <<<"$tables" | cut -d . -f 2-)
declared=$(mariadb-dump --no-data --skip-comments --routines --events --triggers "$1" | sed -E 's/ AUTO_INCREMENT=[0-9]+//; /SETVAL\(/d')
(echo "$checksums" && echo "$declared") | sha256sum | cut -c 1-64
