# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rollback that molecule runs: one case for each scenario, named like its folder."""

from __future__ import annotations

import dataclasses
import os
import typing as t

Expectation = t.Literal[
    "rolled_back",
    "nothing_to_do",
    "refused",
    "held",
    "checked",
    "recorded",
    "interrupted",
    "cut_off",
    "resumed",
    "undone",
    "aborted",
    "went_back",
    "reopened",
    "abandoned",
    "restored",
    "swapped_back",
    "tables_restored",
    "replayed",
    "reconfigured",
    "put_back",
    "given_back",
    "switched",
    "unswitched",
]
BAD_RELEASES = ("crash", "boot", "slow", "jobs", "none", "migration", "env")
HOSTS = os.environ.get("MOLECULE_HOSTS", "molecule")  # for a second rehearsal on the same machine
TARGET = "v1.2.3"
WORKERS = tuple(f"chom-queue-{name}.service" for name in ("worker", "default", "emails", "notifications", "reports"))

STANDARD: dict[str, t.Any] = {"target": TARGET, "watch_seconds": 0}
WATCHED = {**STANDARD, "watch_seconds": 2}
EMERGENCY: dict[str, t.Any] = {}
ALARM: dict[str, t.Any] = {"playbook": "emergency_rollback", "extra": EMERGENCY}
VISIT = (
    """php -r 'file_get_contents("http://127.0.0.1/", false, stream_context_create(["http" => ["header" => "Host: chom.test"]]));' 2>&1"""
)
DAMAGE_RESTORE_POINT = "echo LATER=1 >> /var/lib/lastgood/chom/restore_points/*/files/000"
DAMAGE = "DELETE FROM sites WHERE id <= 100; UPDATE organizations SET name = 'damaged' WHERE id <= 10"
DAMAGE_DATA = f'mariadb chom -e "{DAMAGE}"'
DAMAGE_POSTGRESQL = f'runuser -u postgres -- psql --quiet chom -c "{DAMAGE}"'
DAMAGE_SQLITE = f'runuser -u www-data -- sqlite3 /var/lib/chom/chom.sqlite "{DAMAGE}"'
TO_THE_BACKUP: dict[str, t.Any] = {"playbook": "database_rollback", "extra": {"label": "pre-rollback", "watch_seconds": 0}}
TWO_TABLES: dict[str, t.Any] = {**TO_THE_BACKUP, "extra": {**TO_THE_BACKUP["extra"], "tables": "users,sites"}}
COMPARED_EARLY: dict[str, t.Any] = {  # as where comparing takes long
    **TO_THE_BACKUP,
    "extra": {"watch_seconds": 0, "database_rollback_patience": 0},
}
TO_THE_RESTORE_POINT: dict[str, t.Any] = {"playbook": "full_system_rollback", "extra": {"target": "last_good", "watch_seconds": 0}}
DOWN = {**STANDARD, "migrations": "down"}

REPAIR_THEME = "sed -i s/^CHOM_THEME=.*/CHOM_THEME=classic/ /var/www/chom/.env"
REPAIR_SHARED_THEME = "sed -i s/^CHOM_THEME=.*/CHOM_THEME=classic/ /var/www/chom/shared/.env"
LET_IT_BE_WATCHED = r"""cat > /etc/sudoers.d/lastgood << 'END'
deploy ALL=(root) NOPASSWD: \
    /usr/bin/systemd-run --quiet --collect --unit lastgood-chom --uid deploy --on-active 15 --on-unit-inactive 15 \
        --timer-property AccuracySec\=1s /usr/bin/python3 -I /var/lib/lastgood/chom/watch.pyz, \
    /usr/bin/systemctl stop lastgood-chom.timer
END
visudo --check --quiet --file=/etc/sudoers.d/lastgood"""  # docs/sudoers.md
SITE, POOL = "/etc/nginx/sites-available/chom", "/etc/php/8.4/fpm/pool.d/www.conf"
LET_THE_CONFIGURATION_BE_WRITTEN = r"""cat > /etc/sudoers.d/lastgood << 'END'
deploy ALL=(root) NOPASSWD: \
    /usr/bin/cp -a -T -- /etc/nginx/sites-available/chom /etc/nginx/sites-available/.chom.lastgood, \
    /usr/bin/tee -- /etc/nginx/sites-available/.chom.lastgood, \
    /usr/bin/mv -T -- /etc/nginx/sites-available/.chom.lastgood /etc/nginx/sites-available/chom, \
    /usr/sbin/nginx -t -q, \
    /usr/bin/systemctl reload nginx.service, \
    /usr/bin/systemctl restart nginx.service, \
    /usr/bin/cp -a -T -- /etc/php/8.4/fpm/pool.d/www.conf /etc/php/8.4/fpm/pool.d/.www.conf.lastgood, \
    /usr/bin/tee -- /etc/php/8.4/fpm/pool.d/.www.conf.lastgood, \
    /usr/bin/mv -T -- /etc/php/8.4/fpm/pool.d/.www.conf.lastgood /etc/php/8.4/fpm/pool.d/www.conf, \
    /usr/sbin/php-fpm8.4 --test --fpm-config /etc/php/8.4/fpm/php-fpm.conf, \
    /usr/bin/systemctl reset-failed php8.4-fpm.service
END
visudo --check --quiet --file=/etc/sudoers.d/lastgood"""  # docs/sudoers.md
SPOIL_THE_CONFIGURATION = (
    "sed -i s/^DB_PASSWORD=.*/DB_PASSWORD=wrong/ /var/www/chom/.env",
    "runuser -u www-data -- php /var/www/chom/artisan config:cache",
    f"sed -i s,php8.4-fpm.sock,none.sock, {SITE} && systemctl reload nginx.service",
    f"sed -i 's/^pm = dynamic/pm = dynamite/' {POOL} && ! systemctl restart php8.4-fpm.service",  # it must not come up
)
SPOIL_THE_CONFIGURATION_OF_RELEASES = tuple(
    line.replace("chom/.env", "chom/shared/.env").replace("chom/artisan", "chom/current/artisan") for line in SPOIL_THE_CONFIGURATION
)
STOP_REPORTS = "systemctl stop chom-queue-reports.service"
BREAK_ENV = "cp -p /var/www/chom/.env /root/good.env && sed -i 's/^{0}=.*/{0}=wrong/' /var/www/chom/.env"
MEND_ENV = "cat /root/good.env > /var/www/chom/.env"


@dataclasses.dataclass(frozen=True)
class Run:
    """One call of a playbook, as somebody on call would type it."""

    name: str
    expected: Expectation
    playbook: str = "standard_rollback"
    extra: t.Mapping[str, t.Any] = dataclasses.field(default_factory=lambda: STANDARD)
    options: tuple[str, ...] = ()
    profile: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)  # laid over the application profile of the inventory
    before: tuple[str, ...] = ()  # typed on the host as root
    after: tuple[str, ...] = ()  # likewise, when everything has been looked at
    says: tuple[str, ...] = ()  # what the output must contain
    together: int = 1  # how many are started at the same moment
    kill_when_closed: bool = False
    kill_when_begun: str = ""  # as soon as a journal on the host has this step
    kill_when_said: str = ""  # as soon as the output contains it
    until: str = ""  # typed on the host as root, again and again until it succeeds, after the controller is gone
    webhook: t.Literal["listens", "unreachable", "none"] = "listens"
    salvage_of: str = ""  # an earlier run of the case, whose report says where the rows are that this one puts back
    plan_of: str = ""  # an earlier run of the case, which printed the digest of the plan that this one is bound to
    approved_in: str = ""  # an earlier run of the case, which printed how to agree to what this one does
    job_at_work: bool = False  # a worker is in the middle of a job when the run begins


@dataclasses.dataclass(frozen=True)
class Case:
    """A host, what is wrong on it, and what is run."""

    runs: tuple[Run, ...]
    bad: str | None = None
    variant: t.Literal["full", "restricted"] = "full"
    layout: t.Literal["git", "releases"] = "git"
    database: t.Literal["mariadb", "postgresql", "sqlite"] = "mariadb"
    script: str | None = None  # run on the host as the application's user
    setup: tuple[str, ...] = ()  # typed on the host as root
    off: tuple[str, ...] = ()  # workers that were off before, and have to stay off

    @property
    def host(self) -> str:
        return f"{HOSTS}-{self.variant}"


def rolled_back(name: str = "rollback", **more: t.Any) -> Run:
    return Run(name, "rolled_back", **more)


def _bad_release(playbook: str, extra: t.Mapping[str, t.Any], kind: str) -> Case:
    what: dict[str, t.Any] = {"playbook": playbook, "extra": extra}
    if kind == "migration":
        return Case((_undecided(what), rolled_back("told_to_go_down", extra=DOWN)), kind)
    if kind == "env":
        held = Run(
            "wrong_setting",
            "held",
            **what,
            profile={"health": {"deadline": 15}},
            says=("HELD IN MAINTENANCE", "home page: status 500", "users get the maintenance page"),
        )
        return Case((held, rolled_back("setting_repaired", before=(REPAIR_THEME,), **what)), kind, setup=(STOP_REPORTS,), off=(WORKERS[4],))
    if kind == "crash" and playbook == "standard_rollback":
        what["extra"] = WATCHED
    return Case((rolled_back(job_at_work=kind == "none", **what),), kind)


def _undecided(what: t.Mapping[str, t.Any]) -> Run:
    return Run(
        "not_told",
        "refused",
        **what,
        says=(
            "1 migration(s) that v1.2.3 does not know: 2026_01_02_000000_rename_users_name",
            "ansible-playbook playbooks/standard_rollback.yml -e target=v1.2.3 -e migrations=down",
            "Nothing was changed",
        ),
    )


def refused(name: str, *says: str, **more: t.Any) -> Run:
    return Run(name, "refused", says=says, webhook="none", **more)


def _never_switched(name: str, target: str, *says: str, playbook: str = "standard_rollback") -> Run:
    """A release that would fail its users is not switched to."""
    return refused(name, *says, "was never closed", extra={**STANDARD, "target": target}, playbook=playbook)


def recorded(name: str, *says: str, playbook: str = "restore_point", **more: t.Any) -> Run:
    """Something is written down or cleared away; the application is not touched."""
    return Run(name, "recorded", playbook, says=says, webhook="none", **more)


BAD_INPUT = Case(
    bad="crash",
    script="odd_releases.sh",
    runs=(
        refused("unknown_tag", "v9.9.9 is not a tag", extra={"target": "v9.9.9"}),
        refused("empty_target", "target is empty", extra={"target": ""}),
        refused("empty_target_in_an_emergency", "target is empty", playbook="emergency_rollback", extra={"target": ""}),
        refused("no_target", "No target was given", extra={}),
        refused("option_as_target", "'--upload-pack=x' is not a release tag", extra={"target": "--upload-pack=x"}),
        refused("shell_as_target", "'v1; rm -rf /' is not a release tag", extra={"target": "v1; rm -rf /"}),
        refused("path_as_target", "'../x' is not a release tag", extra={"target": "../x"}),
        refused("mistyped_key", "did you mean services", profile={"servces": {"workers": []}}),
        refused("mistyped_nested_key", "health.porbes is unknown", "did you mean probes", profile={"health": {"porbes": []}}),
        refused("mistyped_value", "drain_timeout", profile={"services": {"drain_timeout": "soon"}}),
        refused(
            "missing_fpm",
            "units that this host does not have",
            "php8.9-fpm.service",
            profile={"services": {"reload": ["php8.9-fpm.service"]}},
        ),
        refused(
            "missing_worker",
            "units that this host does not have",
            "chom-queue-video.service",
            profile={"services": {"workers": [*WORKERS, "chom-queue-video.service"]}},
        ),
        refused("missing_php", "Not installed", "php9", profile={"php": "php9"}),
        refused("wrong_database_password", "database", "Access denied", before=(BREAK_ENV.format("DB_PASSWORD"),), after=(MEND_ENV,)),
        refused("wrong_redis_password", "Redis", before=(BREAK_ENV.format("REDIS_PASSWORD"),), after=(MEND_ENV,)),
        refused("no_space_for_the_backup", "/mnt/small", profile={"backup": {"directory": "/mnt/small"}}),
        refused(
            "local_changes",
            "local changes in 1 tracked files (public/robots.txt)",
            "local_changes=save",
            before=("echo '# by hand' >> /var/www/chom/public/robots.txt",),
            after=("runuser -u www-data -- git -C /var/www/chom checkout --quiet -- public/robots.txt",),
        ),
        refused(
            "file_in_the_way",
            "git does not know: public/new.txt",
            extra={"target": "v1.2.5"},
            before=("echo mine > /var/www/chom/public/new.txt",),
            after=("rm /var/www/chom/public/new.txt",),
        ),
        refused(
            "unsatisfiable_lock",
            "dependencies of the target could not be installed",
            "chom/billing",
            extra={"target": "v1.2.6"},
        ),
        rolled_back("after_all_that", playbook="emergency_rollback", extra=EMERGENCY),
    ),
)

CASES: dict[str, Case] = {
    **{f"standard_{kind}": _bad_release("standard_rollback", STANDARD, kind) for kind in BAD_RELEASES},
    **{f"emergency_{kind}": _bad_release("emergency_rollback", EMERGENCY, kind) for kind in BAD_RELEASES},
    "already_there": Case(
        (
            Run("at_target", "nothing_to_do", says=("NOTHING TO DO: chom runs v1.2.3 already",)),
            rolled_back("alarm", playbook="emergency_rollback", extra=EMERGENCY, before=("chom-deploy bad/crash",)),
            Run(
                "second_alarm", "nothing_to_do", playbook="emergency_rollback", extra=EMERGENCY, says=("NOTHING TO DO", "rolled back to it")
            ),
        ),
    ),
    "restricted_standard": Case((rolled_back(),), "crash", variant="restricted"),
    "restricted_emergency": Case(
        (
            rolled_back(
                playbook="emergency_rollback", extra=EMERGENCY, says=("NOBODY WATCHES THIS RUN", "sudo systemd-run --quiet --collect")
            ),
        ),
        "boot",
        variant="restricted",
    ),
    "check_mode": Case(
        (
            Run("standard", "checked", options=("--check", "--diff"), says=("v1.2.4", "v1.2.3", "CHECK MODE: nothing was changed")),
            Run("emergency", "checked", "emergency_rollback", EMERGENCY, ("--check", "--diff"), says=("CHECK MODE: nothing was changed",)),
        ),
        "none",
    ),
    "bad_input": BAD_INPUT,
    "local_changes": Case(
        (
            rolled_back(
                "saved",
                extra={**STANDARD, "local_changes": "save"},
                before=("echo '# by hand' >> /var/www/chom/public/robots.txt",),
                webhook="unreachable",
            ),
        ),
        "none",
        setup=(STOP_REPORTS,),
        off=(WORKERS[4],),
    ),
    "two_at_once": Case((rolled_back("race", together=2),), "none"),
    "killed": Case(
        (
            Run("killed", "interrupted", kill_when_closed=True),
            Run("locked", "refused", says=("Another rollback holds the lock", "take_over"), webhook="none"),
            rolled_back("taken_over", extra={**STANDARD, "take_over": "the first one was killed"}),
        ),
        "none",
        setup=(STOP_REPORTS,),
        off=(WORKERS[4],),
    ),
    "recovered": Case(
        (
            Run("killed", "interrupted", kill_when_closed=True),
            Run("too_early", "refused", "resume", {}, says=("may be alive", "Nothing was changed", "take_over"), webhook="none"),
            Run("resumed", "resumed", "resume", {"take_over": "the first one was killed"}, says=("ROLLED BACK: chom",)),
            Run("undone", "undone", "undo", {}, says=("UNDONE: chom on ", "The application runs v1.2.4", "is open")),
        ),
        "none",
        setup=(STOP_REPORTS,),
        off=(WORKERS[4],),
    ),
    "abandoned": Case(
        (
            Run(
                "reopened",
                "reopened",
                profile={"dead_man": {"seconds": 5, "action": "reopen"}},
                kill_when_begun="laravel_maintenance down",
                until="test ! -e /var/lib/lastgood/chom/lock",
            ),
            Run(
                "abandoned",
                "abandoned",
                profile={"dead_man": {"seconds": 5, "action": "reopen"}},
                kill_when_said="Go to the target and swap",
                until='grep \'^  "outcome": "abandoned"\' /var/lib/lastgood/chom/last_run.json',
            ),
            Run("resumed", "resumed", "resume", {}, says=("ROLLED BACK: chom",)),
        ),
        "none",
        variant="restricted",
        setup=(STOP_REPORTS, LET_IT_BE_WATCHED),
        off=(WORKERS[4],),
    ),
    "undone_migration": Case(
        (rolled_back("went_down", extra=DOWN), Run("undone", "undone", "undo", {}, says=("UNDONE: chom",))), "migration"
    ),
    "gate_undone": Case(
        (
            Run(
                "went_back",
                "went_back",
                extra={**DOWN, "target": "v1.2.7"},
                profile={"on_failed_gate": "undo", "health": {"deadline": 15}},
                says=("home page: status 500", "UNDONE: the rollback of chom on", "is back where it was", "runs v1.2.4 as before"),
            ),
        ),
        "migration",
        script="odd_releases.sh",
        setup=(STOP_REPORTS,),
        off=(WORKERS[4],),
    ),
    "aborted": Case(
        (
            Run("killed", "cut_off", kill_when_said="Back up the database", job_at_work=True),
            Run("aborted", "aborted", "abort", {"take_over": "it was killed"}, before=("sleep 6",), says=("ABORTED", "never closed")),
        ),
        "none",
    ),
    "last_good": Case(
        (
            recorded("before_a_deployment", "v1.2.3 is LIVE", extra={}),
            recorded("verified", "v1.2.3 is VERIFIED", extra={"state": "verified"}),
            recorded("not_twice", "v1.2.3 is VERIFIED", "as it was already", extra={"state": "verified"}),
            recorded("deployment_begun", "v1.2.4 is STARTED", extra={"state": "started", "version": "v1.2.4"}),
            rolled_back("alarm", before=("chom-deploy bad/crash",), says=("target: the last good version: verified at",), **ALARM),
            refused(
                "damaged",
                "No verified version can be gone back to on this host",
                "its copy of /var/www/chom/.env was changed",
                before=("chom-deploy bad/crash", VISIT, "cp -rp /var/lib/lastgood/chom/restore_points /root/", DAMAGE_RESTORE_POINT),
                after=("rm -r /var/lib/lastgood/chom/restore_points; cp -rp /root/restore_points /var/lib/lastgood/chom/",),
                **ALARM,
            ),
            rolled_back("second_alarm", says=("target: the last good version: verified at",), **ALARM),
        ),
    ),
    "database_rollback": Case(
        (
            rolled_back("controlled"),  # leaves a backup
            refused("not_named", "No backup was named", "pre-rollback", playbook="database_rollback", extra={}),
            refused("hostile", "No backup fits backup --x", playbook="database_rollback", extra={"backup": "--x"}),
            refused("not_approved", "Nobody agreed to this plan yet", "sites: 100 deleted", before=(DAMAGE_DATA,), **TO_THE_BACKUP),
            refused("approved_for_another", "is for another plan", **TO_THE_BACKUP, options=("-e", "approve=0123456789ab")),
            Run("restored", "restored", approved_in="not_approved", says=("organizations: 10 changed",), **TO_THE_BACKUP),
            Run("undone", "swapped_back", "undo", {}, says=("UNDONE: chom", "v1.2.3 with the database as before the run")),
        ),
        "none",
    ),
    "database_postgresql": Case(
        (
            rolled_back("told_to_go_down", extra=DOWN),
            rolled_back("controlled", before=("chom-deploy bad/none",)),  # leaves a backup
            refused("not_approved", "Nobody agreed to this plan yet", "sites: 100 deleted", before=(DAMAGE_POSTGRESQL,), **TO_THE_BACKUP),
            Run("restored", "restored", approved_in="not_approved", says=("organizations: 10 changed",), **TO_THE_BACKUP),
            Run("undone", "swapped_back", "undo", {}, says=("UNDONE: chom", "v1.2.3 with the database as before the run")),
            recorded("released", "RELEASED: chom", playbook="database_release", extra={"confirm": "chom"}),
            refused("tables_not_approved", "Nobody agreed to this plan yet", "sites: 100 deleted", **TWO_TABLES),
            Run(
                "tables", "tables_restored", approved_in="tables_not_approved", says=("Its tables sites, users are those of",), **TWO_TABLES
            ),
            Run("tables_undone", "swapped_back", "undo", {}, says=("UNDONE: chom", "v1.2.3 with the database as before the run")),
        ),
        "migration",
        database="postgresql",
    ),
    "database_sqlite": Case(
        (
            rolled_back("told_to_go_down", extra=DOWN),
            rolled_back("controlled", before=("chom-deploy bad/none",)),  # leaves a backup
            refused("tables", "A SQLite database goes back as a whole", **TWO_TABLES),
            refused("not_approved", "Nobody agreed to this plan yet", "sites: 100 deleted", before=(DAMAGE_SQLITE,), **TO_THE_BACKUP),
            Run("restored", "restored", approved_in="not_approved", says=("organizations: 10 changed",), **TO_THE_BACKUP),
            Run("undone", "swapped_back", "undo", {}, says=("UNDONE: chom", "v1.2.3 with the database as before the run")),
        ),
        "migration",
        database="sqlite",
    ),
    "database_tables": Case(
        (
            rolled_back("controlled"),  # leaves a backup
            refused(
                "unknown_table",
                "has no table",
                "--upload-pack=x",
                **{**TWO_TABLES, "extra": {**TWO_TABLES["extra"], "tables": "--upload-pack=x"}},
            ),
            Run(
                "planned",
                "checked",
                "plan",
                {"label": "pre-rollback", "tables": "users,sites"},
                says=(
                    "PLAN of a rollback (database): the data of chom to",
                    "the tables sites, users go back to",
                    "would be lost: Not known for sites, users: Without another database",
                    "playbooks/database_rollback.yml -e plan=",
                ),
            ),
            refused("not_approved", "Nobody agreed to this plan yet", "sites: 100 deleted", before=(DAMAGE_DATA,), **TWO_TABLES),
            refused("approved_for_all", "is for another plan", approved_in="not_approved", **TO_THE_BACKUP),
            Run("restored", "tables_restored", approved_in="not_approved", plan_of="planned", **COMPARED_EARLY),
            Run("replayed", "replayed", "salvage_replay", {"tables": ["users"]}, salvage_of="restored", webhook="none"),
            refused("not_confirmed", "nothing was removed", "There is no way back from this", playbook="database_release", extra={}),
            recorded("released", "RELEASED: chom keeps no replaced database", playbook="database_release", extra={"confirm": "chom"}),
            refused("gone", "was released: nothing is left to return to", playbook="undo", extra={}),
        ),
        "none",
    ),
    "full_system": Case(
        (
            rolled_back("controlled"),
            recorded("good", "v1.2.3 is VERIFIED", extra={"state": "verified"}),
            Run(
                "planned",
                "checked",
                "plan",
                {"severity": "full_system", "target": "last_good"},
                before=("chom-deploy bad/none",),
                says=("PLAN of a rollback (full_system): chom v1.2.4", "everything goes back to", "configuration: as in the restore point"),
            ),
            refused(
                "not_approved",
                "Nobody agreed to this plan yet",
                "configuration: as in the restore point",
                before=("chom-deploy bad/crash", VISIT, DAMAGE_DATA, "sed -i s/^CHOM_THEME=.*/CHOM_THEME=missing/ /var/www/chom/.env"),
                **TO_THE_RESTORE_POINT,
            ),
            Run("restored", "restored", approved_in="not_approved", says=("ROLLED BACK: chom v1.2.4 -> v1.2.3",), **TO_THE_RESTORE_POINT),
        ),
        "none",
    ),
    "planned": Case(
        (
            Run(
                "planned",
                "checked",
                "plan",
                {"target": TARGET},
                says=(
                    "PLAN of a rollback (standard): chom v1.2.4",
                    "chom/billing 1.2.1 -> 1.2.0",
                    "no earlier backup of chom",
                    "not measured yet, budget 900 s",
                    "Nothing of the application was changed",
                    "playbooks/standard_rollback.yml -e plan=",
                ),
            ),
            refused("option_as_plan", "'--x' is not the digest of a plan", extra={"plan": "--x"}),
            refused("too_short", "'abc' is not the digest of a plan", "first 12 characters", extra={"plan": "abc"}),
            refused("unknown", "No plan 0123456789ab is kept on this host", "v1.2.4 -> v1.2.3", extra={"plan": "0123456789ab"}),
            refused("other_kind", "of the kind standard, not emergency", playbook="emergency_rollback", extra={}, plan_of="planned"),
            refused(
                "another_deployed_by_hand",
                "does not fit any more: the plan was made from v1.2.4",
                "now v1.2.2",
                "playbooks/plan.yml -e severity=standard -e target=v1.2.3",
                extra={},
                plan_of="planned",
                before=("chom-deploy v1.2.2",),
                after=("chom-deploy bad/none",),
            ),
            rolled_back("exactly_that", extra={"watch_seconds": 0}, plan_of="planned"),
            refused("done_already", "its target v1.2.3 runs already", extra={}, plan_of="planned"),
        ),
        "none",
    ),
    "config_rollback": Case(
        (
            recorded("good", "v1.2.3 is VERIFIED", extra={"state": "verified"}),
            Run(
                "healed",
                "reconfigured",
                "config_rollback",
                {"restore_point": "last_good"},
                before=(STOP_REPORTS, *SPOIL_THE_CONFIGURATION),
                says=("/var/www/chom/.env DB_PASSWORD:", f"{SITE} changes: 1 lines go, 1 come", "ROLLED BACK: chom"),
            ),
            Run("already", "nothing_to_do", "config_rollback", {"restore_point": "last_good"}, says=("NOTHING TO DO", "already")),
            Run("one_setting", "reconfigured", "config_rollback", {"configuration_keys": {"APP_DEBUG": True, "CHOM_ADDED": "a b"}}),
            Run("taken_back", "given_back", "undo", {}, says=("UNDONE: chom", "with the configuration as before the run")),
            recorded("broken", "v1.2.3 is LIVE", extra={}, before=(f"sed -i 's/listen 80/lisson 80/' {SITE}",)),
            Run(
                "refused_by_nginx",
                "put_back",
                "config_rollback",
                {"restore_point": "v1.2.3"},
                before=(f"sed -i 's/lisson 80/listen 80/' {SITE}",),
                says=('unknown directive "lisson"', "The configuration is again what it was before this run"),
            ),
            refused(
                "damaged",
                f"its copy of {SITE} was changed",
                "did not begin",
                playbook="config_rollback",
                extra={"restore_point": "last_good"},
                before=(
                    "cp -rp /var/lib/lastgood/chom/restore_points /root/",
                    'for path in $(grep -l "" /var/lib/lastgood/chom/restore_points/*/files/*); do echo LATER=1 >> "$path"; done',
                ),
                after=("rm -r /var/lib/lastgood/chom/restore_points; cp -rp /root/restore_points /var/lib/lastgood/chom/",),
            ),
            Run(
                "refused_by_the_gate",
                "put_back",
                "config_rollback",
                {"configuration_keys": {"DB_PASSWORD": "no-such-password"}},
                profile={"health": {"deadline": 5}},
                says=("refused the login", "The configuration is again what it was before this run"),
            ),
        ),
        variant="restricted",
        setup=(LET_THE_CONFIGURATION_BE_WRITTEN,),
        off=(WORKERS[4],),
    ),
    "releases_standard": Case(
        (
            Run(
                "planned",
                "checked",
                "plan",
                {"target": TARGET},
                says=("closed to users: not at all: the link is switched with users on the site",),
                webhook="none",
            ),
            refused("unknown", "v9.9.9 is not the id, version or commit of a release", "2 (v1.2.3)", extra={"target": "v9.9.9"}),
            refused(
                "not_whole",
                "The release 2 (v1.2.3) cannot be switched to: artisan is missing; its link .env leads to",
                before=("cd /var/www/chom/releases/2; mv artisan artisan.away; ln -sfn ../../shared/none .env",),
                after=("cd /var/www/chom/releases/2; mv artisan.away artisan; ln -sfn ../../shared/.env .env",),
            ),
            Run("switched", "switched", job_at_work=True),
            Run("undone", "unswitched", "undo", {}, says=("UNDONE: chom on ", "The application runs v1.2.4", "is open")),
        ),
        "none",
        layout="releases",
    ),
    "releases_emergency": Case(
        (
            Run("alarm", "switched", says=("deployed before the running one 3 (v1.2.4)",), **ALARM),
            Run("second_alarm", "nothing_to_do", says=("NOTHING TO DO", "rolled back to it"), **ALARM),
        ),
        "crash",
        variant="restricted",
        layout="releases",
    ),
    **{f"releases_{kind}": Case((Run("alarm", "switched", **ALARM),), kind, layout="releases") for kind in ("boot", "slow", "jobs")},
    "releases_configuration": Case(
        (
            recorded("good", "v1.2.4 is VERIFIED", extra={"state": "verified"}),
            Run(
                "healed",
                "reconfigured",
                "config_rollback",
                {"restore_point": "last_good"},
                before=(STOP_REPORTS, *SPOIL_THE_CONFIGURATION_OF_RELEASES),
                says=(f"{SITE} changes: 1 lines go, 1 come", "ROLLED BACK: chom"),
            ),
            Run("one_setting", "reconfigured", "config_rollback", {"configuration_keys": {"CHOM_ADDED": "a b"}}),
            Run("taken_back", "given_back", "undo", {}, says=("UNDONE: chom", "with the configuration as before the run")),
        ),
        "none",
        layout="releases",
        off=(WORKERS[4],),
    ),
    "releases_held": Case(
        (
            refused(
                "wrong_setting",
                "was asked through PHP-FPM before users get it, and is not good",
                "home page: status 500",
                "The application still runs v1.2.4 and was never closed",
                "-e trial=false",
            ),
            Run(
                "wrong_setting_all_the_same",
                "held",
                extra={**STANDARD, "trial": False},
                profile={"health": {"deadline": 15}},
                says=("HELD IN MAINTENANCE", "home page: status 500", "users get the maintenance page"),
            ),
            Run("resumed", "resumed", "resume", {}, before=(REPAIR_SHARED_THEME,), says=("ROLLED BACK: chom",)),
        ),
        "env",
        layout="releases",
        setup=(STOP_REPORTS,),
        off=(WORKERS[4],),
    ),
    "releases_gate_undone": Case(
        (
            _never_switched("crash", "3", "ready: status 500"),
            _never_switched("crash_in_an_emergency", "3", "ready: status 500", playbook="emergency_rollback"),
            _never_switched("boot", "4", "cannot boot, so nothing could be cached"),
            Run(
                "went_back",
                "went_back",
                extra={**STANDARD, "target": "3", "trial": False},
                profile={"on_failed_gate": "undo", "health": {"deadline": 5}},
                says=("home page: status 500", "UNDONE: the rollback of chom on", "is back where it was", "runs v1.2.4 as before"),
            ),
        ),
        "crash",
        layout="releases",
        setup=("chom-deploy bad/boot", "chom-deploy bad/none", STOP_REPORTS),
        off=(WORKERS[4],),
    ),
    "releases_killed": Case(
        (
            Run("killed", "cut_off", kill_when_said="Point the link at the target"),
            Run("resumed", "resumed", "resume", {"take_over": "the first one was killed"}, says=("ROLLED BACK: chom",)),
            Run("undone", "undone", "undo", {}, says=("UNDONE: chom on ", "is open")),
            Run("killed_when_proven", "cut_off", kill_when_said="prove which version answers"),
            Run(
                "aborted_when_proven",
                "aborted",
                "abort",
                {"take_over": "it was killed"},
                says=("ABORTED", "The application runs v1.2.3 and is open, and the workers that ran run again"),
            ),
        ),
        "none",
        layout="releases",
        setup=(STOP_REPORTS,),
        off=(WORKERS[4],),
    ),
    "releases_migration": Case(
        (
            _undecided({"extra": STANDARD}),
            Run("went_down", "switched", extra=DOWN),
            Run("undone", "undone", "undo", {}, says=("UNDONE: chom",)),
        ),
        "migration",
        layout="releases",
    ),
    "releases_database": Case(
        (
            Run("controlled", "switched"),  # leaves a backup
            refused("not_approved", "Nobody agreed to this plan yet", "sites: 100 deleted", before=(DAMAGE_DATA,), **TO_THE_BACKUP),
            Run("restored", "restored", approved_in="not_approved", says=("organizations: 10 changed",), **TO_THE_BACKUP),
            Run("undone", "swapped_back", "undo", {}, says=("UNDONE: chom", "v1.2.3 with the database as before the run")),
            recorded("released", "RELEASED: chom", playbook="database_release", extra={"confirm": "chom"}),
            recorded("good", "v1.2.3 is VERIFIED", extra={"state": "verified"}),
            refused(
                "all_not_approved",
                "Nobody agreed to this plan yet",
                "configuration: as in the restore point",
                before=("chom-deploy bad/crash", VISIT, "sed -i s/^CHOM_THEME=.*/CHOM_THEME=missing/ /var/www/chom/shared/.env"),
                **TO_THE_RESTORE_POINT,
            ),
            Run(
                "all_restored",
                "restored",
                approved_in="all_not_approved",
                says=("ROLLED BACK: chom v1.2.4 -> v1.2.3",),
                **TO_THE_RESTORE_POINT,
            ),
        ),
        "none",
        layout="releases",
    ),
}
