#!/usr/bin/env bash
# The emergency rollback of the CHOM runbook (4.1, 4.2) as an operator's script: its steps in its order, repaired where it
# could not finish (docs/benchmarks.md lists the repairs), asking instead of sleeping.
#   emergency.sh SSH_CONFIG ADDRESS
# shellcheck disable=SC2016 # what stands in single quotes is for the host
# shellcheck source=tests/benchmarks/runbook/connection.sh
source "$(dirname "${BASH_SOURCE[0]}")/connection.sh"

step 'Step 1: Enabling maintenance mode'
on_host 'sudo -u www-data php artisan down' || true

step 'Step 2: Stopping queue workers'
on_host 'sudo systemctl stop chom-queue-worker chom-queue-default chom-queue-emails chom-queue-notifications chom-queue-reports'

step 'Step 3: Reverting code'
on_host 'previous=$(sudo -u www-data git describe --tags --abbrev=0 --match "v*" --exclude "*-*" HEAD^) &&
    sudo -u www-data git checkout --quiet "$previous" &&
    sudo -u www-data composer install --optimize-autoloader --no-dev --quiet'

step 'Step 4: Clearing caches'
on_host 'sudo -u www-data php artisan config:clear &&
    sudo -u www-data php artisan cache:clear &&
    sudo -u www-data php artisan route:clear &&
    sudo -u www-data php artisan view:clear'

step 'Step 5: Restoring caches'
on_host 'sudo -u www-data php artisan config:cache &&
    sudo -u www-data php artisan route:cache &&
    sudo -u www-data php artisan view:cache'

step 'Step 6: Restarting PHP-FPM'
on_host 'sudo systemctl restart php8.4-fpm'

step 'Step 7: Starting queue workers'
on_host 'sudo systemctl start chom-queue-worker chom-queue-default chom-queue-emails chom-queue-notifications chom-queue-reports'

step 'Steps 8 and 9: Disabling maintenance mode, verifying health'
open_if_healthy

step 'EMERGENCY ROLLBACK COMPLETED'
