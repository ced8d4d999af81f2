# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# The caches that Laravel makes of its own files (all rebuilt by one PHP process), and the application's cache store.

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._artisan import Application, ProgramError, run_program
from ._errors import RollbackError
from ._laravel_cache_age import current

if t.TYPE_CHECKING:
    from ._command import Runner

CACHES = ("config", "route", "view", "event", "packages")

# Emptying a store on Redis empties the database that it is in.
_SHARED = r"""
function place($config, ?string $name): string {
    $name = $name ?: 'default';
    $given = $config["database.redis.$name"];
    if (!is_array($given)) {
        return "Redis cluster $name";
    }
    $parsed = (new Illuminate\Support\ConfigurationUrlParser)->parseConfiguration($given);
    $host = str_replace('localhost', '127.0.0.1', $parsed['host'] ?? '127.0.0.1');
    return 'Redis ' . $host . ':' . ($parsed['port'] ?? 6379) . ' database ' . (int) ($parsed['database'] ?? 0);
}
function shared($config): array {
    $cache = $config['cache.stores.' . $config['cache.default']] ?? [];
    $queue = $config['queue.connections.' . $config['queue.default']] ?? [];
    $session = $config['session.driver'];
    $driver = $cache['driver'] ?? null;
    if ($driver !== 'redis') {
        return $session === $driver && in_array($driver, ['memcached', 'dynamodb', 'apc']) ? ["sessions ($session)"] : [];
    }
    $others = [];
    ($queue['driver'] ?? null) === 'redis' && $others['queues'] = place($config, $queue['connection'] ?? null);
    $session === 'redis' && $others['sessions'] = place($config, $config['session.connection']);
    $config['horizon.use'] && $others['Horizon'] = place($config, $config['horizon.use']);
    $mine = place($config, $cache['connection'] ?? null);
    $same = array_filter($others, fn ($where) => $where === $mine);
    return array_map(fn ($what, $where) => "$what ($where)", array_keys($same), $same);
}
"""

_LOOK = r"""
function work(array $input): array {
    [$app] = boot($input['path']);
    return ['shared' => shared($app['config'])];
}
"""

# Compiled views that several releases share are not thrown away: another release serves users from them.
# Caches of another version can keep the application from booting, so they go before it boots. The configuration holds
# secrets: its cache gets the access it had, else that of the .env.
_WORK = r"""
function places(string $path): array {
    $env = @file_get_contents("$path/.env") ?: '';
    $names = ['config' => 'config', 'route' => 'routes-v7', 'event' => 'events', 'packages' => 'packages', 'services' => 'services'];
    foreach ($names as $cache => $file) {
        $name = 'APP_' . strtoupper(strtok($file, '-')) . '_CACHE';
        preg_match("/^\\s*$name\\s*=\\s*['\"]?([^'\"\\s#]+)/m", $env, $set);
        $place = getenv($name) ?: ($set[1] ?? "bootstrap/cache/$file.php");
        $places[$cache] = $place[0] === '/' ? $place : "$path/$place";
    }
    return $places;
}
function inventory(array $caches, array $places, string $views): array {
    clearstatcache();
    $found = [];
    foreach ($caches as $cache) {
        $files = $cache === 'view' ? glob("$views/*.php") : array_filter([$places[$cache]], 'is_file');
        $digest = hash_init('sha256');
        foreach ($files as $file) {
            // routes without a name get a new random one each time
            $text = preg_replace('/generated::\w{16}/', 'generated::', file_get_contents($file));
            hash_update($digest, basename($file) . $text);
        }
        $found[$cache] = $files ? ['files' => count($files), 'sha256' => hash_final($digest)] : null;
    }
    return $found;
}
function remove(array $files): void {
    foreach ($files as $file) {
        if (is_file($file) && !unlink($file)) {
            throw new RuntimeException("$file cannot be removed");
        }
    }
}
function access(string $path, string $cached): array {
    $like = is_file($cached) ? $cached : "$path/.env";
    return is_file($like) ? [fileperms($like) & 0666, filegroup($like)] : [0640, null];
}
function call($app, $kernel, string $command): array {
    $output = new Symfony\Component\Console\Output\BufferedOutput();
    $started = microtime(true);
    try {
        if ($command === 'cache:clear' && shared($app['config'])) {
            throw new RuntimeException('it would also delete ' . implode(' and ', shared($app['config'])));
        }
        $error = $kernel->call($command, [], $output) === 0 ? null : trim($output->fetch());
    } catch (Throwable $thrown) {
        $error = trouble($thrown)['error'] . ' (' . trouble($thrown)['where'] . ')';
    }
    return ['seconds' => round(microtime(true) - $started, 3), 'error' => $error];
}
function work(array $input): array {
    [$path, $caches] = [$input['path'], $input['caches']];
    umask(0022);
    [$places, $views] = [places($path), "$path/storage/framework/views"];
    $shared = is_dir($views) && strpos(realpath($views), realpath($path) . '/') !== 0;
    $report = ['before' => inventory($caches, $places, $views), 'commands' => [], 'failed' => null];
    if ($input['forecast']) {
        return $report;
    }
    [$mode, $group] = access($path, $places['config']);
    $files = array_intersect_key($places, array_flip($caches));
    remove($files + (isset($files['packages']) ? ['services' => $places['services']] : []));
    if ($input['state'] === 'cleared') {
        remove(in_array('view', $caches) ? glob("$views/*.php") : []);
    }
    try {
        $input['commands'] && [$app, $kernel] = boot($path);
    } catch (Throwable $thrown) {
        $report['failed'] = ['command' => null] + trouble($thrown);
        $input['commands'] = [];
    }
    $shared && isset($kernel) && $kernel->command('view:clear', fn () => 0);
    foreach ($input['commands'] as $command) {
        umask($command === 'config:cache' ? 0777 & ~$mode : 0022);
        $result = call($app, $kernel, $command);
        $report['commands'][$command] = $result['seconds'];
        if ($result['error'] !== null) {
            $report['failed'] = ['command' => $command, 'error' => $result['error']];
            break;
        }
    }
    is_file($places['config']) && $group !== null && in_array('config', $caches) && @chgrp($places['config'], $group);
    return $report + ['after' => inventory($caches, $places, $views)];
}
"""

_COMMANDS = {
    "packages": "package:discover",
    "config": "config:cache",
    "event": "event:cache",
    "route": "route:cache",
    "view": "view:cache",
}


@dataclass(frozen=True)
class Wish:
    """Which caches are to be rebuilt or cleared."""

    state: str
    caches: t.Sequence[str]
    clear_store: bool
    keep_current: bool = False

    @property
    def commands(self) -> list[str]:
        rebuild = [command for cache, command in _COMMANDS.items() if cache in self.caches] if self.state == "rebuilt" else []
        return [*rebuild, *(["cache:clear"] if self.clear_store else [])]


@dataclass(frozen=True)
class Outcome:
    """Which caches there were and are, by content."""

    before: dict[str, t.Any]
    after: dict[str, t.Any]
    seconds: dict[str, float]

    def changed(self, cache: str) -> bool:
        return bool(self.before[cache] != self.after[cache])


def refresh(runner: Runner, app: Application, wish: Wish, *, check_mode: bool) -> Outcome:
    if wish.clear_store:
        _refuse_shared_store(runner, app)
    elif wish.keep_current and current(runner, app, wish.caches):
        kept: dict[str, t.Any] = dict.fromkeys(wish.caches, "newer than what it is made from")
        return Outcome(kept, kept, {})
    order = {"state": wish.state, "caches": list(wish.caches), "commands": wish.commands, "forecast": check_mode}
    try:
        report = run_program(runner, app, _SHARED + _WORK, order, timeout=300)
    except ProgramError as error:
        error.state = "Some of the caches may be missing; the application makes do without them."
        raise
    if check_mode:
        forecast = "rebuilt" if wish.state == "rebuilt" else None
        return Outcome(report["before"], dict.fromkeys(wish.caches, forecast), {})
    _refuse_failure(app, wish, report)
    took = report["commands"] or {}  # PHP's empty array is a list
    return Outcome(report["before"], report["after"], {name: took.get(command, 0.0) for name, command in _COMMANDS.items()})


def _refuse_shared_store(runner: Runner, app: Application) -> None:
    shared = run_program(runner, app, _SHARED + _LOOK, {})["shared"]
    if shared:
        raise RollbackError(
            f"Clearing the cache store of {app.path} would also delete {' and '.join(shared)}.",
            next_command="give the cache a Redis database of its own, or keep it (application_cache: keep)",
        )


def _refuse_failure(app: Application, wish: Wish, report: t.Mapping[str, t.Any]) -> None:
    failed, after = report["failed"], report["after"]
    present = [name for name in wish.caches if after[name]]
    absent = [name for name in wish.caches if not after[name]]
    state = f"Caches that exist now: {', '.join(present) or 'none'}. Missing: {', '.join(absent) or 'none'}."
    if failed and failed["command"] is None:
        where = f" ({failed['where'].replace(app.path + '/', '')})" if failed.get("where") else ""
        raise RollbackError(
            f"The application in {app.path} cannot boot, so nothing could be cached: {failed['error'].rstrip('.')}{where}.", state=state
        )
    if failed:
        raise RollbackError(
            f"{failed['command']} failed: {failed['error'].rstrip('.') or 'no reason given'}.",
            state=state,
            next_command=f"sudo -u {app.user} {app.php} {app.path}/artisan {failed['command']}",
        )
    if wish.state == "cleared" and present:
        raise RollbackError(f"These caches are still there: {', '.join(present)}.", state=state)
    missing = [name for name in absent if name != "view"]  # an application without templates has none to compile
    if wish.state == "rebuilt" and missing:
        raise RollbackError(f"No error was reported, but these caches were not written: {', '.join(missing)}.", state=state)
