# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations

import html
import json
import sys
import typing as t
from dataclasses import dataclass, field

from . import _maintenance_files
from ._artisan import Application, ProgramError, run_program
from ._clock import Clock, Countdown
from ._errors import RollbackError
from ._probes import ProbeError
from ._probes_http_client import Request, Route, check_url, send
from ._source import source

if t.TYPE_CHECKING:
    from ._command import Runner

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Service Unavailable</title>
<style>
body {margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1.1rem/1.5 system-ui, sans-serif; color: #444}
</style>
</head>
<body><main><h1>@STATUS@</h1><p>@TEXT@</p></main></body>
</html>
"""

_RENDER = r"""
function work(array $input): array {
    boot($input['path']);
    (new Illuminate\Foundation\Exceptions\RegisterErrorViewPaths)();
    return ['template' => view($input['render'], ['retryAfter' => $input['retry']])->render()];
}
"""

# The files say it to this host's web server. This says it to the driver that the application uses, which may be a cache
# that other hosts and workers share, and to the application's listeners.
_TELL = r"""
function work(array $input): array {
    [$app] = boot($input['path']);
    $mode = $app->maintenanceMode();
    $before = $mode->active() ? $mode->data() : null;
    $file = $app->storagePath() . '/framework/down';
    $events = 'Illuminate\Foundation\Events\MaintenanceMode';
    if ($input['state'] === 'down') {
        $written = json_decode(file_get_contents($file), true);
        $after = array_merge($written, array_filter($before ?? [], fn ($value) => $value !== null), ['secret' => $written['secret']]);
        $changed = $after != $before;
        $changed && !$input['forecast'] && $mode->activate($after);
    } else {
        $changed = $before !== null;
        $changed && !$input['forecast'] && $mode->deactivate();
    }
    $event = $events . ($input['state'] === 'down' ? 'Enabled' : 'Disabled');
    if (($changed || $input['changed']) && !$input['forecast'] && class_exists($event)) {
        $app->make('events')->dispatch(new $event());
    }
    $ours = $input['state'] === 'down' && $mode instanceof Illuminate\Foundation\FileBasedMaintenanceMode;
    return ['was_down' => $before !== null && !$ours, 'changed' => $changed];
}
"""


@dataclass(frozen=True)
class Page:
    """How to see from outside whether visitors are let in."""

    url: str
    route: Route
    seconds: float


@dataclass(frozen=True)
class Closing:
    """How the application is to be closed or opened."""

    state: str
    method: str
    driver: str
    storage: str
    status: int
    retry: int
    refresh: int | None
    except_paths: list[str] | None
    render: str | None
    page_text: str
    secret: str | None
    page: Page | None


@dataclass
class Outcome:
    """What was done, how, and what there is to say about it."""

    report: dict[str, t.Any]
    method: str
    status: int | None = None
    warnings: list[str] = field(default_factory=list)


def closing(params: t.Mapping[str, t.Any], app: Application) -> Closing:
    page = None
    if params["verify_url"]:
        try:
            check_url(params["verify_url"])
        except ValueError as error:
            raise RollbackError(f"verify_url: {error}.") from None
        page = Page(params["verify_url"], Route(params["verify_connect_to"], params["verify_tls"]), params["verify_seconds"])
    return Closing(
        state=params["state"],
        method=params["method"],
        driver=params["driver"],
        storage=params["storage_path"] or f"{app.path}/storage",
        status=params["status"],
        retry=params["retry"],
        refresh=params["refresh"],
        except_paths=params["except_paths"],
        render=params["render"],
        page_text=params["page_text"],
        secret=params["secret"],
        page=page,
    )


def switch(runner: Runner, app: Application, plan: Closing, *, check_mode: bool, clock: Clock | None = None) -> Outcome:
    """Close or open the application and prove it from outside when there is a page to ask."""
    outcome = _close(runner, app, plan, check_mode) if plan.state == "down" else _open(runner, app, plan, check_mode)
    if plan.page is not None and not check_mode:
        outcome.status = _prove(plan, outcome.report, clock or Clock())
    return outcome


def _close(runner: Runner, app: Application, plan: Closing, check_mode: bool) -> Outcome:
    """The files first: they close within milliseconds whatever state the application is in."""
    warnings: list[str] = []
    template = _PAGE.replace("@STATUS@", str(plan.status)).replace("@TEXT@", html.escape(plan.page_text))
    if plan.render and plan.method != "file":
        template = _rendered(runner, app, plan, template, warnings)
    report = _files(runner, app, plan, check_mode, template=template)
    if not report["prerendered"]:
        warnings.append(f"No maintenance-mode.stub was found in {app.path}: while the application cannot boot, visitors get its error.")
    outcome = Outcome(report, "file", warnings=warnings)
    if _framework_is_needed(plan, report) and not (check_mode and not report["was_down"]):
        try:
            _tell(runner, app, plan, outcome, check_mode)
        except ProgramError as error:
            if plan.method == "artisan":
                error.state = "This host's visitors are kept out, the application's maintenance driver was not told."
                raise
            warnings.append(f"Only visitors of this host are kept out, its other hosts and workers were not told: {error.message}")
    return outcome


def _open(runner: Runner, app: Application, plan: Closing, check_mode: bool) -> Outcome:
    """The driver first: as long as it says down, removing the files would only change the error page."""
    if plan.method != "artisan":
        report = _files(runner, app, plan, check_mode)
        if not _framework_is_needed(plan, report):
            return Outcome(report, "file")
    outcome = Outcome({"was_down": False, "changed": False}, "artisan")
    try:
        _tell(runner, app, plan, outcome, check_mode)
    except ProgramError as error:
        error.state = "The application is still closed."
        raise
    told = outcome.report
    outcome.report = _files(runner, app, plan, check_mode, told=True)
    for fact in ("was_down", "changed"):
        outcome.report[fact] = bool(outcome.report[fact] or told[fact])
    return outcome


def _framework_is_needed(plan: Closing, report: t.Mapping[str, t.Any]) -> bool:
    return plan.method == "artisan" or (plan.method == "auto" and report["driver"] != "file")


def _tell(runner: Runner, app: Application, plan: Closing, outcome: Outcome, check_mode: bool) -> None:
    order = {"state": plan.state, "forecast": check_mode, "changed": outcome.report["changed"]}
    told = run_program(runner, app, _TELL, order)
    outcome.method = "artisan"
    for fact in ("was_down", "changed"):
        outcome.report[fact] = bool(outcome.report[fact] or told[fact])


def _rendered(runner: Runner, app: Application, plan: Closing, otherwise: str, warnings: list[str]) -> str:
    try:
        answer = run_program(runner, app, _RENDER, {"render": plan.render, "retry": plan.retry})
    except ProgramError as error:
        warnings.append(f"The view {plan.render} could not be rendered, a plain page is shown instead: {error.message}")
        return otherwise
    return str(answer["template"])


def _files(runner: Runner, app: Application, plan: Closing, forecast: bool, *, template: str = "", told: bool = False) -> dict[str, t.Any]:
    """Have the marker and the front gate written or removed by the application's owner, in one short process."""
    order = {
        "path": app.path,
        "storage": plan.storage,
        "state": plan.state,
        "except": plan.except_paths,
        "retry": plan.retry,
        "refresh": plan.refresh,
        "status": plan.status,
        "template": template,
        "secret": plan.secret,
        "forecast": forecast,
        "wait_for_driver": plan.state == "up" and plan.method == "auto" and plan.driver != "file" and not told,
        "driver": plan.driver,
    }
    python = "python3" if runner.find("python3") else sys.executable
    done = runner.run([python, "-I", "-S", "-c", source(_maintenance_files.__name__)], user=app.user, stdin=json.dumps(order), timeout=30)
    answer = t.cast("dict[str, t.Any]", json.loads(done.stdout))
    if "error" in answer:
        raise RollbackError(answer["error"], state="The maintenance mode was not changed.")
    return answer


def _prove(plan: Closing, report: t.Mapping[str, t.Any], clock: Clock) -> int:
    """Ask the page until visitors are (no longer) told that the application is closed."""
    page = t.cast("Page", plan.page)
    closed = 302 if report.get("redirect") else int(report.get("status") or plan.status)
    time_left = Countdown(clock, page.seconds)
    seen: int | None = None
    reason = "it was not asked"
    for _round in time_left.rounds(0.05):
        try:
            seen = send(Request("GET", page.url), page.route, max(1.0, time_left.remaining)).status
        except ProbeError as error:
            seen, reason = None, str(error)
            continue
        if (seen == closed) == (plan.state == "down"):
            return seen
    got = f"answers with status {seen}" if seen is not None else f"does not answer: {reason}"
    if plan.state == "down":
        raise RollbackError(
            f"The application is marked as down, but {page.url} {got} instead of status {closed}.",
            state="Visitors may still be using the application.",
            facts={"page_status": seen},
        )
    raise RollbackError(
        f"The application is marked as up, but {page.url} {got}.",
        state="Maintenance mode is off, visitors are not served.",
        facts={"page_status": seen},
    )
