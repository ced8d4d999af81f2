# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

# Runs constant PHP programs inside a Laravel application: one process for all that is to be done, input and output as JSON.

from __future__ import annotations

import json
import os
import pwd
import typing as t
from dataclasses import dataclass

from ._errors import RollbackError

if t.TYPE_CHECKING:
    from ._command import Completed, Runner

ARGUMENTS: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "user": {"type": "str"},
    "php": {"type": "str", "default": "php"},
}

_MARK = "lastgood-answer:"

# $input is what Python sent; boot() gives the console kernel; answer() ends the program. Whatever the application prints
# goes elsewhere than the answer's line, and a program that dies in between answers with the reason.
_FRAME = r"""
error_reporting(E_ALL & ~E_DEPRECATED);
ini_set('display_errors', 'stderr');
$input = json_decode(stream_get_contents(STDIN), true);
$phase = 'start';
function answer(array $value) {
    $GLOBALS['phase'] = 'answered';
    fwrite(STDOUT, PHP_EOL . 'lastgood-answer:' . json_encode($value, JSON_INVALID_UTF8_SUBSTITUTE) . PHP_EOL);
    exit(0);
}
function trouble(Throwable $error): array {
    return [
        'error' => (new ReflectionClass($error))->getShortName() . ': ' . strtok($error->getMessage(), "\n"),
        'where' => $error->getFile() . ':' . $error->getLine(),
        'phase' => $GLOBALS['phase'],
    ];
}
function boot(string $path) {
    $GLOBALS['phase'] = 'boot';
    chdir($path);
    $_SERVER['argv'] = ['artisan'];
    define('LARAVEL_START', microtime(true));
    require $path . '/vendor/autoload.php';
    $app = require $path . '/bootstrap/app.php';
    $kernel = $app->make(Illuminate\Contracts\Console\Kernel::class);
    $kernel->bootstrap();
    $GLOBALS['phase'] = 'work';
    return [$app, $kernel];
}
register_shutdown_function(function () {
    if ($GLOBALS['phase'] === 'answered') {
        return;
    }
    $last = error_get_last();
    answer([
        'error' => $last ? strtok($last['message'], "\n") : 'The application ended the program.',
        'where' => $last ? $last['file'] . ':' . $last['line'] : '',
        'phase' => $GLOBALS['phase'],
    ]);
});
try {
    answer(work($input));
} catch (Throwable $error) {
    answer(trouble($error));
}
"""


@dataclass(frozen=True)
class Application:
    """A Laravel application on this host."""

    path: str
    user: str
    php: str


class ProgramError(RollbackError):
    """The application could not do what it was asked; phase is boot when it does not even start."""

    def __init__(self, message: str, *, phase: str, **more: t.Any) -> None:
        super().__init__(message, **more)
        self.phase = phase


def application(params: t.Mapping[str, t.Any]) -> Application:
    """The application that a module's parameters name; its owner is looked up when not given."""
    path = params["path"]
    if not os.path.isabs(path):
        raise RollbackError(f"The path {path} of the application is not absolute.")
    path = os.path.normpath(path)
    return Application(path, params["user"] or _owner(path), params["php"])


def _owner(path: str) -> str:
    try:
        return pwd.getpwuid(os.stat(path).st_uid).pw_name
    except OSError as error:
        raise RollbackError(f"The application directory {path} cannot be looked at: {error.strerror}.") from error
    except KeyError:
        raise RollbackError(f"The owner of {path} has no name on this host; give the user.") from None


def run_program(runner: Runner, app: Application, work: str, data: t.Mapping[str, t.Any], *, timeout: float = 120) -> dict[str, t.Any]:
    """Run PHP that defines work(array $input): array as the application's owner and return its value."""
    done = runner.run(
        [app.php, "-r", f"{work}\n{_FRAME}"],
        user=app.user,
        stdin=json.dumps({"path": app.path, **data}),
        timeout=timeout,
        check=False,
    )
    answer = _answer(done)
    if "error" in answer:
        where = str(answer.get("where", "")).replace(f"{app.path}/", "")
        doing = "cannot boot" if answer.get("phase") == "boot" else "failed"
        place = f" ({where})" if where else ""
        raise ProgramError(
            f"The application in {app.path} {doing}: {str(answer['error']).rstrip('.')}{place}.", phase=str(answer.get("phase"))
        )
    return answer


def _answer(done: Completed) -> dict[str, t.Any]:
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            return t.cast("dict[str, t.Any]", json.loads(line[len(_MARK) :]))
    raise ProgramError(f"PHP ended with status {done.rc} and without an answer: {done.output or 'no output'}.", phase="start")
