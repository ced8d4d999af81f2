#!/usr/bin/env bash
# What deployment tools do for a rollback, and what their documentation tells users to add for Laravel: releases.sh SSH_CONFIG ADDRESS
# The link by ln -nfs as Capistrano's older versions and most home-made scripts do, the caches after it, a reload, the workers.
# shellcheck disable=SC2016 # what stands in single quotes is for the host
# shellcheck source=tests/benchmarks/runbook/connection.sh
source "$(dirname "${BASH_SOURCE[0]}")/connection.sh"

# of the release of v1.2.3, known by the tool's own log
on_host 'sudo -u www-data ln -nfs "releases/$(grep v1.2.3 .dep/releases_log | tail -n 1 | sed "s/.*release_name\":\"\([0-9]*\).*/\1/")" current'
for kind in config route view; do
    on_host "cd current && sudo -u www-data php artisan $kind:cache --quiet"
done
on_host 'sudo systemctl reload php8.4-fpm'
on_host 'sudo systemctl restart chom-queue-worker chom-queue-default chom-queue-emails chom-queue-notifications chom-queue-reports'
