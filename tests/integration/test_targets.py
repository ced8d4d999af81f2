# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules on real programs: one test for each of ansible-test's targets, to say which requirements it shows.

`make integration` starts the host that they run on, with nothing but these tests on it. Targets of database servers run on
a host of each Debian release; those start when the first such target does, or DATABASE_HOSTS="13=ADDRESS 12=ADDRESS" names them.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).parents[2]
DATABASE_HOST = str(ROOT / "molecule/shared/host/databasehost")
PYTHONS = {"13": "3.13", "12": "3.11"}
requirement = pytest.mark.requirement
on_both_releases = pytest.mark.parametrize("release", PYTHONS)


@pytest.fixture(scope="session")
def database_hosts() -> t.Iterator[dict[str, str]]:
    """The addresses of hosts with database servers, by Debian release."""
    if "DATABASE_HOSTS" in os.environ:
        yield dict(word.split("=") for word in os.environ["DATABASE_HOSTS"].split())
        return
    names = {release: f"integration-databases-{release}" for release in PYTHONS}
    key = pathlib.Path.home() / ".ansible/test/id_rsa.pub"  # ansible-test's
    try:
        commands = {
            release: [DATABASE_HOST, "create", f"--public-key={key}", f"--release={release}", name] for release, name in names.items()
        }
        starting = {release: subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for release, argv in commands.items()}
        said = {release: process.communicate()[0] for release, process in starting.items()}
        yield {release: json.loads(text)["ip"] for release, text in said.items()}
    finally:
        subprocess.run([DATABASE_HOST, "destroy", *names.values()], check=True)


def run_target(name: str, address: str = "", python: str = "3.13") -> None:
    here = f"origin:python={sys.version_info.major}.{sys.version_info.minor}"
    there = f"ssh:deploy@{address or os.environ['INTEGRATION_HOST']},python={python}"
    command = ["tests/tools/ansible_test.sh", "integration", "--color", "no", "--controller", here, "--target", there, name]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(done.stdout[-8000:], pytrace=False)


@requirement("CHOM-9.5-02", "CHOM-9.5-03", "D-107", "D-108", "D-111", "D-112", "D-113")
def test_configuration_restore() -> None:
    run_target("configuration_restore")


@requirement("D-025")
def test_data_loss() -> None:
    run_target("data_loss")


@requirement("D-025")
@on_both_releases
def test_data_loss_postgresql(database_hosts: dict[str, str], release: str) -> None:
    run_target("data_loss_postgresql", database_hosts[release], PYTHONS[release])


def test_data_salvage() -> None:
    run_target("data_salvage")


@requirement("CHOM-5.2-03", "CHOM-6.2-05", "D-006", "D-007", "D-008", "D-009")
def test_db_backup() -> None:
    run_target("db_backup")


@requirement("CHOM-6.2-06", "CHOM-6.2-08", "D-015", "D-030")
def test_db_backup_info() -> None:
    run_target("db_backup_info")


def test_db_backup_prune() -> None:
    run_target("db_backup_prune")


@requirement("D-010", "D-011", "D-012", "D-031")
@on_both_releases
def test_db_restore_postgresql(release: str, database_hosts: dict[str, str]) -> None:
    run_target("db_restore_postgresql", database_hosts[release], PYTHONS[release])


@requirement(
    "CHOM-4.2-08",
    "CHOM-4.3-01",
    "CHOM-4.3-02",
    "CHOM-4.3-03",
    "CHOM-4.3-04",
    "CHOM-4.3-05",
    "CHOM-4.3-06",
    "CHOM-4.3-07",
    "CHOM-4.3-08",
    "CHOM-4.3-09",
    "CHOM-7.1-01",
    "CHOM-7.1-02",
    "CHOM-7.1-03",
    "CHOM-7.1-04",
    "CHOM-7.1-05",
    "CHOM-7.1-06",
    "CHOM-7.1-07",
    "CHOM-7.1-08",
    "CHOM-7.2-01",
    "CHOM-7.2-02",
    "CHOM-7.2-04",
    "CHOM-7.3-01",
    "D-082",
    "D-083",
    "D-085",
    "D-086",
    "D-093",
)
def test_health_gate() -> None:
    run_target("health_gate")


@requirement(
    "CHOM-4.1-11",
    "CHOM-4.1-12",
    "CHOM-4.2-05",
    "CHOM-4.2-06",
    "CHOM-5.2-09",
    "CHOM-5.2-10",
    "CHOM-5.2-11",
    "CHOM-9.5-04",
    "CHOM-9.5-05",
    "D-076",
    "D-081",
)
def test_laravel_cache() -> None:
    run_target("laravel_cache")


@requirement("CHOM-4.1-07", "CHOM-4.2-02", "CHOM-5.2-01", "D-034", "D-038")
def test_laravel_maintenance() -> None:
    run_target("laravel_maintenance")


def test_rollback_session() -> None:
    run_target("rollback_session")


def test_service_group() -> None:
    run_target("service_group")


@requirement(
    "CHOM-4.1-09",
    "CHOM-4.1-10",
    "CHOM-4.2-04",
    "CHOM-5.2-04",
    "CHOM-5.2-05",
    "CHOM-5.3-08",
    "CHOM-5.3-09",
    "D-049",
    "D-055",
    "D-058",
    "D-103",
)
def test_git_version_switch() -> None:
    run_target("git_version_switch")


@requirement("D-056", "D-057")
def test_release_switch() -> None:
    run_target("release_switch")


@requirement("D-055")
def test_release_trial() -> None:
    run_target("release_trial")


@requirement("CHOM-5.2-08", "CHOM-9.1-03", "D-017")
def test_db_migration() -> None:
    run_target("db_migration")


@requirement("CHOM-6.2-10", "D-005", "D-006", "D-026")
def test_db_restore() -> None:
    run_target("db_restore")


@requirement("CHOM-5.2-06", "CHOM-5.3-04", "CHOM-9.1-02", "D-051", "G-08")
def test_rollback_plan() -> None:
    run_target("rollback_plan")


@requirement("CHOM-5.1-04", "CHOM-5.3-03", "CHOM-CL-06")
def test_rollback_run() -> None:
    run_target("rollback_run")


@requirement("CHOM-5.1-02", "CHOM-5.1-03", "CHOM-5.3-02", "CHOM-CL-05")
def test_rollback_info() -> None:
    run_target("rollback_info")


@requirement("G-04", "G-05")
def test_restore_point() -> None:
    run_target("restore_point")


@requirement("G-04")
def test_restore_point_info() -> None:
    run_target("restore_point_info")
