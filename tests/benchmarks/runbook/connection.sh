# shellcheck shell=bash
# How the operator's scripts reach the host: one plain ssh connection for each step, nothing shared between steps.
set -euo pipefail
config=$1 address=$2

step() {
    echo "[$(date +%T)] $*"
}

on_host() {
    ssh -F "$config" chom "cd /var/www/chom && $1"
}

# Ask a health path until it is good; the runbook sleeps for a fixed time here.
healthy() {
    for _ in {1..100}; do
        [[ $(curl -s -o /dev/null -m 5 -w '%{http_code}' -H 'Host: chom.test' "http://$address/health/ready") = 200 ]] && return
        sleep 0.1
    done
    return 1
}

# The health paths answer 503 in maintenance mode, so the site is opened to be checked and closed again if it is bad.
open_if_healthy() {
    on_host 'sudo -u www-data php artisan up'
    healthy && return
    on_host 'sudo -u www-data php artisan down'
    echo 'health check FAILED, manual intervention required'
    exit 1
}
