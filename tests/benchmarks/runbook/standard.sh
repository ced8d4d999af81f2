#!/usr/bin/env bash
# The standard rollback of the CHOM runbook (5.2) as an operator's script: its steps in its order, repaired where it could
# not finish (docs/benchmarks.md lists the repairs), asking instead of sleeping, without FLUSHDB and without the watch.
#   standard.sh SSH_CONFIG ADDRESS TARGET
# shellcheck disable=SC2016 # what stands in single quotes is for the host
# shellcheck source=tests/benchmarks/runbook/connection.sh
source "$(dirname "${BASH_SOURCE[0]}")/connection.sh"
target=$3

step 'Step 1: Enable maintenance mode'
on_host 'sudo -u www-data php artisan down --retry=60'

step 'Step 2: Stop queue workers'
on_host 'sudo systemctl stop chom-queue-worker chom-queue-default chom-queue-emails chom-queue-notifications chom-queue-reports'

step 'Step 3: Create database backup'
on_host 'set -euo pipefail
    umask 077
    file=/var/backups/chom/pre-rollback-$(date +%Y%m%d-%H%M%S).sql.gz
    login=$(mktemp)
    trap "rm -f $login" EXIT
    password=$(sudo -u www-data sed -n "s/^DB_PASSWORD=//p" .env | sed "s/^[\"'\'']//; s/[\"'\'']$//")
    printf "[client]\nuser=chom\npassword=\"%s\"\n" "$password" > "$login"
    mysqldump --defaults-extra-file="$login" --single-transaction chom | gzip > "$file"
    echo "Database backed up to: $file"'

step 'Step 4: Checkout rollback version'
on_host "sudo -u www-data git fetch --quiet --all --tags && sudo -u www-data git checkout --quiet tags/$target"

step 'Step 5: Install dependencies'
on_host 'sudo -u www-data composer install --optimize-autoloader --no-dev --quiet'

step 'Step 6: Check if migrations need to be rolled back'
on_host 'sudo -u www-data php artisan migrate:status'

step 'Step 7: Clear all caches'
on_host 'sudo -u www-data php artisan config:clear &&
    sudo -u www-data php artisan cache:clear &&
    sudo -u www-data php artisan route:clear &&
    sudo -u www-data php artisan view:clear &&
    sudo -u www-data php artisan event:clear'

step 'Step 8: Rebuild production caches'
on_host 'sudo -u www-data php artisan config:cache &&
    sudo -u www-data php artisan route:cache &&
    sudo -u www-data php artisan view:cache &&
    sudo -u www-data php artisan event:cache'

step 'Step 10: Restart PHP-FPM'
on_host 'sudo systemctl restart php8.4-fpm'

step 'Step 11: Start queue workers'
on_host 'sudo systemctl start chom-queue-worker chom-queue-default chom-queue-emails chom-queue-notifications chom-queue-reports'

step 'Steps 12 and 13: Disable maintenance mode, verify health'
open_if_healthy

step 'Rollback complete'
