#!/usr/bin/env python3
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a site from outside, as its users do, at a steady rate, and say what they got.

    prober.py http://10.88.0.7/ --host chom.test --seconds 30 --signups 2 --session 2 --output answers.jsonl

Each question has its moment and is asked in a thread of its own, so that a slow answer delays no other question. Each answer
becomes one line of JSON; the summary is computed from these lines alone.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import http.client
import json
import pathlib
import signal
import sys
import threading
import time
import typing as t
import urllib.parse
import uuid

PAGE = "/"
READY = "/health/ready"
SIGNUPS = "/api/signups"
SESSION = "/session"
GOOD_SECONDS = 5.0
GIVE_UP_SECONDS = 10.0
VERSION_HEADER = "X-App-Version"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one question got; status 0 stands for no answer."""

    t: float
    path: str
    status: int
    seconds: float
    version: str | None = None
    id: int | None = None
    count: int | None = None
    retry_after: str | None = None
    error: str | None = None

    @property
    def ended(self) -> float:
        return self.t + self.seconds

    def good(self, version: str | None = None, limit: float = GOOD_SECONDS) -> bool:
        """Whether a user would be content: 200, soon enough, from the expected version if one is named."""
        return self.status == 200 and self.seconds <= limit and version in (None, self.version)


@dataclasses.dataclass(frozen=True)
class Summary:
    """What the users of one page went through; moments are Unix times."""

    asked: int
    failed: int
    first: float | None
    last: float | None
    seconds_without_good_answer: float
    longest_gap_seconds: float
    first_failed: float | None
    first_lasting_good: float | None
    statuses: dict[str, int]
    versions: dict[str, int]
    acknowledged: list[int]


def summarise(
    answers: t.Iterable[Answer],
    *,
    path: str = PAGE,
    version: str | None = None,
    limit: float = GOOD_SECONDS,
    since: float | None = None,
) -> Summary:
    """What the answers of a page say.

    A gap reaches from the first question without a good answer to the next question that got one, or to the end of the asking.
    first_lasting_good is the moment when the first good answer arrived after which none was missing; None when the last one was.
    """
    everything = [answer for answer in answers if since is None or answer.t >= since]
    mine = sorted((answer for answer in everything if answer.path == path), key=lambda answer: answer.t)
    good = [answer.good(version, limit) for answer in mine]
    gaps = list(_gaps(mine, good))
    failed = [answer for answer, fine in zip(mine, good, strict=True) if not fine]
    after = [answer for answer in mine if not failed or answer.t > failed[-1].t]
    return Summary(
        asked=len(mine),
        failed=len(failed),
        first=mine[0].t if mine else None,
        last=mine[-1].t if mine else None,
        seconds_without_good_answer=round(sum(gaps), 3),
        longest_gap_seconds=round(max(gaps, default=0.0), 3),
        first_failed=failed[0].t if failed else None,
        first_lasting_good=after[0].ended if after else None,
        statuses=_counted(str(answer.status) for answer in mine),
        versions=_counted(answer.version or "none" for answer in mine),
        acknowledged=sorted(answer.id for answer in everything if answer.id is not None),
    )


def _gaps(mine: t.Sequence[Answer], good: t.Sequence[bool]) -> t.Iterator[float]:
    began: float | None = None
    for answer, fine in zip(mine, good, strict=True):
        if fine and began is not None:
            yield answer.t - began
            began = None
        elif not fine and began is None:
            began = answer.t
    if began is not None:
        pace = (mine[-1].t - mine[0].t) / (len(mine) - 1) if len(mine) > 1 else 0.0
        yield mine[-1].t + pace - began


def _counted(words: t.Iterable[str]) -> dict[str, int]:
    count: dict[str, int] = {}
    for word in words:
        count[word] = count.get(word, 0) + 1
    return dict(sorted(count.items()))


@dataclasses.dataclass(frozen=True)
class Site:
    """Where to ask: an address, and the name under which the site is known there."""

    url: str
    host: str | None = None
    give_up: float = GIVE_UP_SECONDS

    def ask(self, path: str, body: dict[str, str] | None = None, cookie: str = "") -> tuple[Answer, str]:
        """One question on a connection of its own; returns the answer and the cookies to send next time."""
        began, clock = time.time(), time.monotonic()
        parts = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=self.give_up)
        headers = {"Host": self.host or parts.netloc, "Connection": "close", "Accept": "text/html,application/json"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Accept": "application/json"}
        if cookie:
            headers["Cookie"] = cookie
        try:
            connection.request("GET" if body is None else "POST", path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            return Answer(round(began, 4), path, 0, _since(clock), error=type(error).__name__), cookie
        finally:
            connection.close()
        found = _object(text) if response.status in (200, 201) and path in (SIGNUPS, SESSION) else {}
        answer = Answer(
            t=round(began, 4),
            path=path,
            status=response.status,
            seconds=_since(clock),
            version=response.headers.get(VERSION_HEADER),
            id=found.get("id") if response.status == 201 else None,
            count=found.get("count"),
            retry_after=response.headers.get("Retry-After"),
        )
        return answer, _cookies(response) or cookie


def _since(clock: float) -> float:
    return round(time.monotonic() - clock, 4)


def _object(text: bytes) -> dict[str, t.Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _cookies(response: http.client.HTTPResponse) -> str:
    return "; ".join(line.partition(";")[0] for line in response.headers.get_all("Set-Cookie", []))


class Prober:
    """Asks until it is stopped, or for a number of seconds; use it in a with statement, or start and stop it."""

    def __init__(
        self,
        site: Site,
        *,
        pages: float = 20,
        ready: float = 4,
        signups: float = 0,
        session: float = 0,
        seconds: float | None = None,
        output: pathlib.Path | None = None,
    ) -> None:
        self._site = site
        self._rates = {self._page: pages, self._ready: ready, self._signup: signups}
        self._session_rate = session
        self._seconds = seconds
        self._file = output.open("w", encoding="utf-8") if output else None
        self._answers: list[Answer] = []
        self._recording = threading.Lock()
        self._stop = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(256, thread_name_prefix="question")
        self._lines: list[threading.Thread] = []

    def __enter__(self) -> Prober:
        self.start()
        return self

    def __exit__(self, *_about: object) -> None:
        self.stop()

    @property
    def answers(self) -> list[Answer]:
        """What has been answered so far."""
        with self._recording:
            return list(self._answers)

    def start(self) -> None:
        for question, rate in self._rates.items():
            if rate > 0:
                self._lines.append(threading.Thread(target=self._in_time, args=(question, 1 / rate), daemon=True))
        if self._session_rate > 0:
            self._lines.append(threading.Thread(target=self._one_visitor, args=(1 / self._session_rate,), daemon=True))
        for line in self._lines:
            line.start()

    def wait(self) -> None:
        """Until the seconds are over or somebody stops it."""
        self._stop.wait(self._seconds)

    def stop(self) -> list[Answer]:
        """Ask nothing more, wait for the answers that are under way, and return all."""
        self._stop.set()
        for line in self._lines:
            line.join()
        self._pool.shutdown(wait=True)
        if self._file:
            self._file.close()
        return self.answers

    def wait_for(self, condition: t.Callable[[Answer], bool], seconds: float) -> bool:
        """Wait until an answer fulfils the condition."""
        deadline = time.monotonic() + seconds
        looked_at = 0
        while time.monotonic() < deadline:
            new = self.answers[looked_at:]
            if any(condition(answer) for answer in new):
                return True
            looked_at += len(new)
            time.sleep(0.05)
        return False

    def _moments(self, pace: float) -> t.Iterator[None]:
        """The moments at which to ask; those that were missed are left out, never made up for in a burst."""
        began = time.monotonic()
        number = 0
        while not self._stop.is_set() and (self._seconds is None or number * pace < self._seconds):
            yield
            number = max(number + 1, int((time.monotonic() - began) / pace))
            self._stop.wait(max(0.0, began + number * pace - time.monotonic()))

    def _in_time(self, question: t.Callable[[], None], pace: float) -> None:
        for _moment in self._moments(pace):
            self._pool.submit(question)

    def _one_visitor(self, pace: float) -> None:
        """A user with cookies asks one thing after the other."""
        cookie = ""
        for _moment in self._moments(pace):
            answer, cookie = self._site.ask(SESSION, cookie=cookie)
            self._record(answer)

    def _page(self) -> None:
        self._record(self._site.ask(PAGE)[0])

    def _ready(self) -> None:
        self._record(self._site.ask(READY)[0])

    def _signup(self) -> None:
        self._record(self._site.ask(SIGNUPS, {"email": f"{uuid.uuid4().hex}@users.invalid", "name": "Prober"})[0])

    def _record(self, answer: Answer) -> None:
        with self._recording:
            self._answers.append(answer)
            if self._file:
                self._file.write(json.dumps(dataclasses.asdict(answer)) + "\n")
                self._file.flush()


def load(path: pathlib.Path) -> list[Answer]:
    """The answers of an earlier run."""
    return [Answer(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description="Ask a site from outside at a steady rate and print what its users got.")
    top.add_argument("url", help="where the site is: http://address/")
    top.add_argument("--host", help="the name under which it is known there")
    top.add_argument("--seconds", type=float, help="how long; until interrupted by default")
    top.add_argument("--pages", type=float, default=20, help=f"questions for {PAGE} in a second")
    top.add_argument("--ready", type=float, default=4, help=f"questions for {READY} in a second")
    top.add_argument("--signups", type=float, default=0, help="sign-ups in a second; they stay in the database")
    top.add_argument("--session", type=float, default=0, help=f"questions for {SESSION} of one visitor with cookies in a second")
    top.add_argument("--output", type=pathlib.Path, help="write every answer to this file, a line of JSON each")
    top.add_argument("--version", help="only answers of this version are good")
    top.add_argument("--limit", type=float, default=GOOD_SECONDS, help="seconds within which an answer is good")
    return top


def main() -> int:
    options = _parser().parse_args()
    prober = Prober(
        Site(options.url, options.host, max(options.limit, GIVE_UP_SECONDS)),
        pages=options.pages,
        ready=options.ready,
        signups=options.signups,
        session=options.session,
        seconds=options.seconds,
        output=options.output,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_about: prober._stop.set())
    with prober:
        prober.wait()
    summary = summarise(prober.answers, version=options.version, limit=options.limit)
    print(json.dumps(dataclasses.asdict(summary), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
