# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each task of the emergency rollback's critical path does, as bare commands: the programs that the modules start, and
what does the same in a shell where a module needs no program of its own. In this order they are a whole rollback."""

from __future__ import annotations

COMMIT = "v1.2.3"
UNITS = " ".join(f"chom-queue-{name}.service" for name in ("worker", "default", "emails", "notifications", "reports"))
SERVICES = "nginx.service php8.4-fpm.service mariadb.service redis-server.service"

_LOCK = f"""
umask 077
folder=/var/lib/lastgood/bare/runs/$$
mkdir -p $folder
(set -C; echo $$ > /var/lib/lastgood/bare/lock)
sudo -u www-data tail --lines=500 -- storage/logs/laravel.log > $folder/application.log
systemctl show --property=Id,ActiveState,SubState,MainPID,NRestarts -- {SERVICES} {UNITS} > $folder/units.txt
"""

_PREPARE = f"""
exec sudo -u www-data sh -ec '
status=$(git status --porcelain=v2 --branch --untracked-files=no --no-renames)
commit=$(git rev-parse --verify --quiet refs/tags/{COMMIT}^{{commit}})
git ls-tree -r --full-tree $commit | cut -d " " -f 3 | cut -f 1 | git cat-file --batch-check --buffer > /dev/null
git diff --name-status --no-renames HEAD $commit > /dev/null
git cat-file blob $commit:composer.lock > /dev/null
tree=$PWD/.git/lastgood/$commit
rm -rf $tree.building $tree
mkdir -p -m 0750 $tree.building
GIT_INDEX_FILE=$tree.building.index git read-tree $commit
GIT_INDEX_FILE=$tree.building.index git checkout-index --all --force --prefix=$tree.building/
COMPOSER_HOME=$tree.building/.composer COMPOSER_DISABLE_NETWORK=1 COMPOSER_NO_AUDIT=1 composer install --no-dev --prefer-dist \\
    --no-scripts --no-interaction --no-progress --no-ansi --quiet --optimize-autoloader --working-dir=$tree.building
mv -T $tree.building $tree
rm -f $tree.building.index'
"""

_QUIESCE = f"""
systemctl show --property=Id,LoadState,ActiveState,SubState -- chom-scheduler.timer {UNITS} > /dev/null
sudo systemctl stop chom-scheduler.timer {UNITS}
systemctl show --property=Id,LoadState,ActiveState,SubState -- chom-scheduler.timer {UNITS} > /dev/null
"""

_CLOSE = """
secret=$(od -An -tx1 -N24 /dev/urandom | tr -d ' \\n')
printf '{"except":[],"redirect":null,"retry":60,"refresh":null,"secret":"%s","status":503,"template":null}' $secret |
    sudo -u www-data sh -ec 'umask 027; cat > storage/framework/down
        cp /usr/share/php/Illuminate/Foundation/Console/stubs/maintenance-mode.stub storage/framework/maintenance.php'
curl -s -o /dev/null -H 'Host: chom.test' http://127.0.0.1/
"""

_SWITCH = f"""
exec sudo -u www-data sh -ec '
status=$(git status --porcelain=v2 --branch --untracked-files=no --no-renames)
commit=$(git rev-parse --verify --quiet refs/tags/{COMMIT}^{{commit}})
kept=.git/lastgood/$(git rev-parse HEAD)
test -e .git/lastgood/$commit/vendor/composer/installed.json
git checkout --quiet --detach $commit
mkdir -p -m 0750 $kept
rm -rf $kept/vendor
mv -T vendor $kept/vendor
mv -T .git/lastgood/$commit/vendor vendor'
"""

_CACHES = """
exec sudo -u www-data sh -ec 'rm -f bootstrap/cache/*.php
exec php -r "
require \\"vendor/autoload.php\\";
\\$app = require \\"bootstrap/app.php\\";
\\$kernel = \\$app->make(Illuminate\\\\Contracts\\\\Console\\\\Kernel::class);
foreach ([\\"package:discover\\", \\"config:cache\\", \\"event:cache\\", \\"route:cache\\", \\"view:cache\\"] as \\$command) {
    \\$kernel->call(\\$command) === 0 || exit(1);
}"'
"""

_START = f"""
systemctl show --property=Id,LoadState,ActiveState,SubState -- php8.4-fpm.service chom-scheduler.timer {UNITS} > /dev/null
sudo systemctl reload php8.4-fpm.service &
sudo systemctl start chom-scheduler.timer {UNITS}
wait
sleep 0.1
systemctl show --property=Id,LoadState,ActiveState,SubState -- php8.4-fpm.service chom-scheduler.timer {UNITS} > /dev/null
"""

# Two rounds, 0.2 s apart, each question of a round at the same time as the others.
_GATE = f"""
secret=$(sudo -u www-data sed 's/.*"secret":"\\([^"]*\\)".*/\\1/' storage/framework/down)
login=$(mktemp) jar=$(mktemp)
sudo -u www-data sed -n "s/^DB_PASSWORD=[\\"']*\\([^\\"']*\\).*/[client]\\nuser=chom\\npassword=\\"\\1\\"/p" .env > $login
curl -s -o /dev/null -c $jar -H 'Host: chom.test' http://127.0.0.1/$secret
for round in 1 2; do
    [ $round = 1 ] || sleep 0.2
    for page in health/ready health/live '' login sites health/basic; do
        curl -s -f -o /dev/null -b $jar -H 'Host: chom.test' http://127.0.0.1/$page &
    done
    systemctl show --property=Id,LoadState,ActiveState,SubState -- {SERVICES} 'chom-queue-*.service' > /dev/null &
    mariadb --defaults-extra-file=$login -e 'select 1' chom > /dev/null &
    sudo -u www-data find -L storage/logs -maxdepth 1 -name laravel.log -printf '%s' > /dev/null &
    wait
    curl -s -f -o /dev/null -b $jar -H 'Host: chom.test' -H 'Content-Type: application/json' \\
        -d '{{"email": "bare@probe.invalid", "name": "Probe"}}' http://127.0.0.1/api/signups
done
rm -f $login $jar
"""

_REOPEN = """
sudo -u www-data rm -f storage/framework/down storage/framework/maintenance.php
rm -f /var/lib/lastgood/bare/lock
curl -s -f -o /dev/null -H 'Host: chom.test' http://127.0.0.1/
"""

# The phase of each task, and its commands; they run in the application's folder.
STEPS = {
    "Lock": _LOCK,
    "Prepare": _PREPARE,
    "Quiesce writers": _QUIESCE,
    "Close traffic": _CLOSE,
    "Switch code": _SWITCH,
    "Rebuild caches": _CACHES,
    "Start services": _START,
    "Gate": _GATE,
    "Reopen": _REOPEN,
}
