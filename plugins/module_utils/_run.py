# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.
from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import shutil
import time
import typing as t
from dataclasses import dataclass

from . import _journal
from ._clock import utc
from ._errors import RollbackError

_GUARD_SECONDS = 5
_TAKEN_OVER = ".taken-over-"
_TAKEN_OVER_KEPT = 3
_OPENING_SECONDS = 3  # between taking the lock and recording that a run has begun there are milliseconds
LEASE = 300  # seconds without a sign of life after which a run counts as dead, unless its lock says otherwise
WATCH = "dead-man timer"
CONFIGURATION = "configuration"  # the severity of a run that leaves code and schema alone


@dataclass(frozen=True)
class Folder:
    """The durable state of an application on its host: the lock, the last run, a folder for each run."""

    root: str

    @classmethod
    def of(cls, state_directory: str, application: str) -> Folder:
        return cls(os.path.join(state_directory, application))

    @property
    def lock(self) -> str:
        return os.path.join(self.root, "lock")

    @property
    def last_run(self) -> str:
        return os.path.join(self.root, "last_run.json")

    @property
    def plans(self) -> str:
        return os.path.join(self.root, "plans")

    @property
    def freeze(self) -> str:
        return os.path.join(self.root, "freeze")

    @property
    def watch(self) -> str:
        """The program of the dead-man timer."""
        return os.path.join(self.root, "watch.pyz")

    def run(self, run: str) -> str:
        return os.path.join(self.root, "runs", run)

    def record(self, run: str) -> str:
        return os.path.join(self.run(run), "run.json")

    def evidence(self, run: str) -> str:
        return os.path.join(self.run(run), "evidence")

    def orders(self, run: str) -> str:
        """What the dead-man timer is to do."""
        return os.path.join(self.run(run), "watch.json")

    def webhook(self, run: str) -> str:
        """Where the dead-man timer sends its message: a secret, there only while the run is open."""
        return os.path.join(self.run(run), "webhook")

    def create(self) -> None:
        try:
            make_private(os.path.join(self.root, "runs"))
        except OSError as error:
            me = getpass.getuser()
            raise RollbackError(
                f"{me} cannot write the state folder {self.root}: {error.strerror}.",
                next_command=f"sudo install -d -o {me} -m 0700 {os.path.dirname(self.root)}",
            ) from error


def make_private(path: str) -> None:
    """Make a folder, and those above it that are missing, for its owner only."""
    if not path or os.path.isdir(path):
        return
    make_private(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):  # somebody else was quicker; if it is no folder, using it says so
        os.mkdir(path, 0o700)


def read_json(path: str) -> dict[str, t.Any] | None:
    """A JSON file; None when it does not exist or holds no object."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        aside = (
            f"sudo mv {path} {path}.damaged   # what it records is forgotten by that; each run keeps its own record in runs/<run>/run.json"
        )
        raise RollbackError(f"{path} cannot be read: {error}.", next_command=aside) from error
    return found if isinstance(found, dict) else None


def write_json(path: str, value: t.Mapping[str, t.Any]) -> None:
    """Write aside, flush to disk, rename: readers see the old or the new file, whole."""
    aside = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise RollbackError(f"{path} cannot be written: {error.strerror}.") from error


def holder(folder: Folder) -> dict[str, t.Any] | None:
    """Who has the lock; nobody is None, an unreadable lock is somebody unknown."""
    if not os.path.lexists(folder.lock):
        return None
    try:
        return read_json(folder.lock) or {}
    except RollbackError:
        return {}


def acquire(
    folder: Folder, owner: t.Mapping[str, t.Any], *, take_over: str | None, take_over_from: str | None = None
) -> dict[str, t.Any] | None:
    """Take the lock, or say who holds it; returns the owner it was taken from."""
    seen = holder(folder)
    with guard(folder):
        held = holder(folder)
        if held is not None and held.get("run") == owner["run"]:
            return None
        _refuse_another(folder, held, take_over_from)
        if held is not None and (not take_over or held != seen):  # what changed meanwhile is not what was to be taken over
            raise locked(folder, held)
        if held is not None and _changes_something(sign_of_life(folder, held.get("run"))):
            raise locked(folder, held)
        _write_lock(folder, owner, replaces=held is not None)
    return held


def _changes_something(sign: t.Mapping[str, t.Any]) -> bool:
    """Whether the run is at a step at this moment that nobody else may come between; a watch goes on alone when its controller is gone."""
    return bool(sign.get("at_work")) and not sign.get("only_reads")


def _refuse_another(folder: Folder, held: t.Mapping[str, t.Any] | None, expected: str | None) -> None:
    """Whoever follows a run follows that run: when another one has begun since, what was decided about the first is void."""
    if not expected:
        return
    last = held if held is not None else read_json(folder.last_run) or {}
    if last.get("run") == expected:
        return
    if held is not None:
        raise locked(folder, held)
    raise RollbackError(
        f"Run {expected} was to be followed, but the last run is {last.get('run', 'unknown')} by now.",
        state="This run changed nothing.",
        next_command="ansible-playbook playbooks/status.yml",
    )


def _write_lock(folder: Folder, owner: t.Mapping[str, t.Any], *, replaces: bool) -> None:
    aside = f"{folder.lock}.{owner['run']}"
    try:
        if replaces:
            os.rename(folder.lock, f"{folder.lock}{_TAKEN_OVER}{time.time():.6f}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(owner, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, folder.lock)  # fails when the lock exists: this is the atomic step
    except FileExistsError:
        raise locked(folder, holder(folder)) from None
    except OSError as error:
        raise RollbackError(f"The lock {folder.lock} cannot be written: {error.strerror}.") from error
    finally:
        if os.path.exists(aside):
            os.unlink(aside)


@contextlib.contextmanager
def guard(folder: Folder) -> t.Iterator[None]:
    """Look and act as one step among all that look at the lock."""
    try:
        descriptor = os.open(f"{folder.lock}.guard", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise RollbackError(f"The lock {folder.lock} cannot be written: {error.strerror}.") from error
    try:
        deadline = time.monotonic() + _GUARD_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise locked(folder, holder(folder)) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def sign_of_life(folder: Folder, run: t.Any) -> dict[str, t.Any]:
    """The last thing that a run wrote into its journal, how long ago, and whether it is doing it at this moment."""
    if not isinstance(run, str) or not run or os.path.basename(run) != run:
        return {}
    path = os.path.join(folder.run(run), _journal.NAME)
    try:
        found = _journal.read(folder.run(run))
        age = time.time() - os.stat(path).st_mtime
    except (OSError, RollbackError):
        return {}
    if found is None or not found.entries:
        return {}
    last = found.entries[-1]
    step = last.get("step", last.get("event"))
    sign = {"step": step, "at": last.get("at"), "seconds_ago": round(age, 1), "at_work": _journal.at_work(found.entries) is not None}
    return {**sign, **{name: last[name] for name in ("by", "only_reads") if name in last}}


def lease(folder: Folder, held: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Until when the holder of the lock counts as alive; each line of its journal renews that, a step that is going on does so all the time."""
    run = held.get("run")
    seconds = held.get("lease") or LEASE
    sign = sign_of_life(folder, run)
    try:
        since = max(os.stat(path).st_mtime for path in _signs(folder, run) if os.path.exists(path))
    except (OSError, ValueError):
        since = 0.0
    at_work = bool(sign.get("at_work"))
    given_up = sign.get("by") == WATCH and not at_work
    until = since if given_up else since + seconds
    return {"expires": utc(until), "alive": at_work or time.time() < until, "at_work": at_work}


def _signs(folder: Folder, run: t.Any) -> list[str]:
    named = isinstance(run, str) and run and os.path.basename(run) == run
    return [folder.lock, *([os.path.join(folder.run(run), _journal.NAME)] if named else [])]


def begin_step(directory: str, entry: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Record what is about to be done, unless the run has lost its lock: a controller that was away for long must not go on.

    In one step with looking at the lock, so that nobody can take the lock from a run that is about to do something.
    """
    runs, run = os.path.split(os.path.abspath(directory))
    root, name = os.path.split(runs)
    if name != "runs":
        return _journal.append(directory, entry)
    folder = Folder(root)
    with guard(folder):
        held = holder(folder)
        if (held or {}).get("run") != run:
            raise _lost(run, held)
        found = _journal.read(directory)
        busy = _journal.at_work(found.entries) if found else None
        if busy is not None and busy.get("by") == WATCH:
            raise _lost(run, {"run": run, "actor": f"the {WATCH}"})
        if busy is not None and not busy.get("only_reads"):
            raise RollbackError(
                f"Run {run} is doing something already: {busy.get('step')} since {busy.get('at')}.",
                state="This step was not begun.",
                next_command="ansible-playbook playbooks/status.yml",
            )
        return _journal.append(directory, entry)


def _lost(run: str, held: t.Mapping[str, t.Any] | None) -> RollbackError:
    now = f"run {held.get('run', 'unknown')} of {held.get('actor', 'somebody')} holds it" if held is not None else "nobody holds it"
    return RollbackError(
        f"Run {run} has lost the lock: {now}.",
        state="This step was not begun; what runs now is no longer for this run to change.",
        next_command="ansible-playbook playbooks/status.yml",
        facts={"lost_lock": True, "lock": dict(held or {})},
    )


def locked(folder: Folder, held: t.Mapping[str, t.Any] | None) -> RollbackError:
    who = held or {}
    sign, until = sign_of_life(folder, who.get("run")), lease(folder, who)
    if sign.get("at_work"):
        doing, after = f" It is at work at this moment: {sign['step']} since {sign['at']}.", "wait for it"
        if not _changes_something(sign):
            doing += " That is a watch, which only reads."
            after = 'wait for it, or, when nobody is there any more: run again with -e \'{"take_over": "why you are sure"}\''
    else:
        doing = f" Its last sign of life was {sign['seconds_ago']:g} s ago: {sign['step']}." if sign else ""
        word = "It counts as alive until" if until["alive"] else "It counts as dead since"
        doing += " The dead-man timer gave it up." if sign.get("by") == WATCH else f" {word} {until['expires']}."
        take = 'run again with -e \'{"take_over": "why you are sure that it is dead"}\''
        after = f"{'wait for it; if it is dead, ' if until['alive'] else ''}{take}, or go on with it: ansible-playbook playbooks/resume.yml"
    return RollbackError(
        f"Another rollback holds the lock {folder.lock}: {who.get('actor', 'somebody')} since {who.get('since', 'an unknown time')}"
        f" (run {who.get('run', 'unknown')} from {who.get('controller', 'an unknown machine')}, to {who.get('target', 'an unknown target')}).{doing}",
        state="This run changed nothing.",
        next_command=after,
        facts={"lock": {**who, **until}, "sign_of_life": sign},
    )


def release(folder: Folder, run: str) -> bool:
    """Give the lock back; a lock that belongs to another run by now is left alone."""
    with guard(folder):
        if (holder(folder) or {}).get("run") != run or timer_at_work(folder, run):
            return False
        os.unlink(folder.lock)
        for old in sorted(name for name in os.listdir(folder.root) if name.startswith(f"lock{_TAKEN_OVER}"))[:-_TAKEN_OVER_KEPT]:
            os.unlink(os.path.join(folder.root, old))
    return True


def left_over(folder: Folder) -> str | None:
    """The run whose lock is there although it has nothing left to do: it was cut off before its record was begun, or after it was closed."""
    run = (holder(folder) or {}).get("run")
    if not isinstance(run, str) or not run or os.path.basename(run) != run:
        return None
    last = read_json(folder.last_run) or {}
    goes_on = last.get("run") == run and "closed" not in last
    ended = "closed" in (read_json(folder.record(run)) or {})
    try:
        recent = time.time() - os.stat(folder.lock).st_mtime < _OPENING_SECONDS
    except FileNotFoundError:
        return None
    return None if goes_on or recent or (not ended and _began_a_step(folder, run, last)) else run


def _began_a_step(folder: Folder, run: str, last: t.Mapping[str, t.Any]) -> bool:
    """Whether a run that is not the last one did anything at all."""
    found = _journal.read(folder.run(run)) if last.get("run") != run else None
    return found is not None and (found.broken is not None or any(entry.get("event") == "intent" for entry in found.entries))


def give_back(folder: Folder, run: str) -> bool:
    """Give back a lock that was left over; not one that became somebody else's meanwhile."""
    if (holder(folder) or {}).get("run") != run:
        return False
    if left_over(folder) != run:
        raise locked(folder, holder(folder))
    return release(folder, run)


def unfinished(last: t.Mapping[str, t.Any] | None) -> bool:
    """Whether the last run that touched the application never got to its end."""
    return last is not None and last.get("outcome") not in ("rolled_back", "nothing_to_do", "refused", "undone", "aborted")


def free_bytes(path: str) -> int:
    return shutil.disk_usage(path).free


def opened(folder: Folder, facts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Create a run's folder and record that it has begun; a run that never ends stays recorded as interrupted."""
    try:
        make_private(folder.evidence(facts["run"]))
    except OSError as error:
        raise RollbackError(f"{folder.run(facts['run'])} cannot be created: {error.strerror}.") from error
    record = {**facts, "opened": utc(), "outcome": "interrupted", "preceded_by": _without_history(read_json(folder.last_run))}
    _journal.create(folder.run(facts["run"]), {"event": "opened", "at": record["opened"], "facts": dict(facts)})
    write_json(folder.record(facts["run"]), record)
    write_json(folder.last_run, record)
    return record


def _without_history(last: dict[str, t.Any] | None) -> dict[str, t.Any] | None:
    return None if last is None else {name: value for name, value in last.items() if name != "preceded_by"}


def timer_at_work(folder: Folder, run: str) -> bool:
    """Whether the dead-man timer gave the run up and is opening the site again at this moment: then the run is the timer's."""
    sign = sign_of_life(folder, run)
    return bool(sign.get("at_work")) and sign.get("by") == WATCH


def closing(folder: Folder, run: str, outcome: str, detail: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], bool]:
    """What will be recorded about a run that ends, and whether that is not recorded yet."""
    found = read_json(folder.record(run)) or {"run": run}
    if found.get("reopened") or timer_at_work(folder, run):  # the dead-man timer ends it, and what that records is how it ended
        return found, False
    record = {**found, **detail, "outcome": outcome}
    return ({**record, "closed": utc()}, True) if "closed" not in found or record != found else (found, False)


def closed(folder: Folder, run: str, outcome: str, detail: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Record how a run ended."""
    record, changed = closing(folder, run, outcome, detail)
    if changed:
        try:
            _journal.append(folder.run(run), {"event": "closed", "at": record["closed"], "outcome": outcome})
        except RollbackError as error:  # a damaged journal must not keep the lock
            record["journal_problem"] = error.message
        write_json(folder.record(run), record)
    if (read_json(folder.last_run) or {}).get("run") == run:
        _set_last_run(folder, record)
    return record


def _set_last_run(folder: Folder, record: dict[str, t.Any]) -> None:
    """What the next run, resume or undo goes by; one that was refused changed nothing, so what counts is the run before it."""
    before = record.get("preceded_by")
    if record["outcome"] != "refused":
        write_json(folder.last_run, record)
    elif before:
        write_json(folder.last_run, before)
    else:
        os.unlink(folder.last_run)


def abandoned(folder: Folder, run: str, detail: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Record that nobody goes on with a run; it stays one that can be resumed, undone and aborted."""
    at = utc()
    _journal.append(folder.run(run), {"event": "abandoned", "at": at, "by": WATCH, **detail})
    return amended(folder, run, {"outcome": "abandoned", "abandoned": {"at": at, **detail}})


def amended(folder: Folder, run: str, detail: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Add to the record of a run."""
    record = {**(read_json(folder.record(run)) or {"run": run}), **detail}
    write_json(folder.record(run), record)
    if (read_json(folder.last_run) or {}).get("run") == run:
        write_json(folder.last_run, record)
    return record
