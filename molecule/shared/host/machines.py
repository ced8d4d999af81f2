"""What test hosts have in common: images from the machine's own Debian mirror, and containers that boot systemd."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[2] / ".cache" / "host"
KEY = CACHE / "id_ed25519"
PROCESSES = CACHE / "processes"  # the number of each container's first process

RELEASES = {"trixie": 13, "bookworm": 12}
BASE_PACKAGES = "systemd,systemd-sysv,dbus,python3,sudo,iproute2,ca-certificates,openssh-server"
DPKG_OPTIONS = ("force-unsafe-io", *(f"path-exclude=/usr/share/{part}/*" for part in ("doc", "info", "locale", "man")))
BASE_REPOSITORY = "localhost/lastgood-debian"
PREFIX = "lastgood-"

TOOLS = {"podman": "podman", "mmdebstrap": "mmdebstrap", "ssh-keygen": "openssh-client"}
CAP_SYS_RESOURCE = 24
LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
ENOUGH = 20_000
INSIDE = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "xterm", "container": "podman"}
BOOT_SECONDS = 90
POLL_SECONDS = 0.05


class HostError(Exception):
    """Something the user must know; printed without a traceback."""


def note(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def run(*argv: str, **options: t.Any) -> str:
    """Run a command and return what it printed; fail with its last words."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-2000:]
        raise HostError(f"{argv[0]} {argv[1] if len(argv) > 1 else ''} failed ({done.returncode}): {words}")
    return str(done.stdout).strip()


# --- what this machine needs ---


def has_capability(number: int) -> bool:
    """Whether this process holds a Linux capability."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(match and int(match.group(1), 16) >> number & 1)


def modest_limit(kind: int) -> int:
    """A limit that is enough for a host and below the hard limit of this process."""
    hard = resource.getrlimit(kind)[1]
    return ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)


@functools.cache
def podman_environment() -> dict[str, str]:
    """Without CAP_SYS_RESOURCE no runtime may raise limits, so podman is told to keep the present ones."""
    environment = dict(os.environ)
    if "CONTAINERS_CONF" in environment or has_capability(CAP_SYS_RESOURCE):
        return environment
    limits = [f"{name}={modest_limit(kind)}:{modest_limit(kind)}" for name, kind in LIMITS.items()]
    lines = ["[containers]", f"default_ulimits = {json.dumps(limits)}"]
    if shutil.which("runc"):
        lines += ["[engine]", 'runtime = "runc"']
    config = CACHE / "containers.conf"
    write_file(config, "\n".join(lines) + "\n")
    environment["CONTAINERS_CONF"] = str(config)
    return environment


def boot_options() -> list[str]:
    """systemd of Debian 13 refuses the old control groups unless it is told to accept them."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return []
    words = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
    return ["--env", f"SYSTEMD_PROC_CMDLINE={words}"]


def write_file(path: Path, text: str) -> None:
    """Write a file in one step, so that a second process never reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def podman(*words: str, **options: t.Any) -> str:
    """Run podman."""
    return run("podman", *words, env=podman_environment(), **options)


def podman_knows(kind: str, name: str) -> bool:
    """Whether an image or a container exists."""
    argv = ["podman", kind, "exists", name]
    return subprocess.run(argv, env=podman_environment(), check=False).returncode == 0


def require_root() -> None:
    """Only rootful podman gives every host an address of its own."""
    if os.geteuid() != 0:
        raise HostError("test hosts need podman as root: run this as root, for example with sudo")


def install_tools() -> None:
    """Install what is missing, where apt can do it."""
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise HostError(f"please install: {' '.join(missing)}")
    if "podman" in missing and not has_capability(CAP_SYS_RESOURCE):
        missing.append("runc")
    note(f"installing {' '.join(missing)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE.parent / "apt.lock").open("w") as turn:  # shared with tests/tools/setup.sh
        fcntl.flock(turn, fcntl.LOCK_EX)
        run("apt-get", "update", env=quiet)
        run("apt-get", "install", "--yes", *missing, env=quiet)


# --- images ---


def digest(*parts: bytes) -> str:
    """A short name for exactly these bytes."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()[:12]


def base_argv(suite: str, tarball: str) -> list[str]:
    """How the base system is made, from the machine's own package mirror."""
    options = [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
    return ["mmdebstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", *options, suite, tarball]


def base_name(suite: str) -> str:
    """The base image, named by what goes into it."""
    return f"{BASE_REPOSITORY}:{RELEASES[suite]}-{digest(*(word.encode() for word in base_argv(suite, '')))}"


@contextlib.contextmanager
def locked(name: str) -> t.Iterator[None]:
    """One process at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_logged(log: Path, interesting: str, *argv: str) -> None:
    """Run something long: everything goes to a log, the interesting lines to the terminal."""
    start = time.monotonic()
    pattern = re.compile(interesting)
    with (
        log.open("a", encoding="utf-8") as file,
        subprocess.Popen(argv, env=podman_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        for line in t.cast("t.IO[str]", process.stdout):
            file.write(line)
            if pattern.search(line):
                note(f"  {time.monotonic() - start:5.1f} s  {line.rstrip()[:110]}")
    if process.returncode:
        tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-25:])
        raise HostError(f"{argv[0]} failed ({process.returncode}), log: {log}\n{tail}")


def build_base(suite: str, name: str, log: Path) -> None:
    """A small Debian with systemd."""
    note(f"base image {name}")
    tarball = CACHE / "base.tar"
    run_logged(log, r"^I: (installing|downloading|extracting|success)", *base_argv(suite, str(tarball)))
    podman("import", "--quiet", str(tarball), name)
    tarball.unlink()


@dataclasses.dataclass(frozen=True)
class Image:
    """A host image: a folder with a Containerfile, on a base of one Debian release."""

    repository: str
    suite: str
    sources: Path
    interesting: str

    @property
    def name(self) -> str:
        """Named by everything that goes into it."""
        parts = [base_name(self.suite).encode()]
        for path in sorted(path for path in self.sources.rglob("*") if path.is_file()):
            executable = b"x" if os.access(path, os.X_OK) else b"-"
            parts += [str(path.relative_to(self.sources)).encode(), executable, path.read_bytes()]
        return f"{self.repository}:{digest(*parts)}"

    def build(self) -> str:
        """Make sure that the image exists; return its name."""
        require_root()
        install_tools()
        name = self.name
        with locked("build"):
            if podman_knows("image", name):
                return name
            start = time.monotonic()
            log = CACHE / "build.log"
            log.write_text("", encoding="utf-8")
            base = base_name(self.suite)
            if not podman_knows("image", base):
                build_base(self.suite, base, log)
            note(f"host image {name}")
            argv = ["podman", "build", "--layers", "--build-arg", f"BASE={base}", "--tag", name, str(self.sources)]
            run_logged(log, rf"^(STEP \d|- |Setting up ({self.interesting}))", *argv)
            self.remove_outdated(name)
            note(f"built in {time.monotonic() - start:.0f} s")
        return name

    def remove_outdated(self, name: str) -> None:
        """Host images of earlier sources; one that a running host still uses stays."""
        listed = podman("images", "--format={{.Repository}}:{{.Tag}}", f"--filter=reference={self.repository}")
        for outdated in set(listed.split()) - {name}:
            subprocess.run(["podman", "rmi", outdated], env=podman_environment(), capture_output=True, check=False)


# --- hosts ---


class Machine:
    """A container that plays a host."""

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name):
            raise HostError(f"not a host name: {name!r} (small letters, digits, dashes)")
        self.name = name
        self.container = PREFIX + name
        self.known_hosts = CACHE / "known_hosts" / name

    def inspect(self, template: str) -> str:
        """A fact about the container."""
        if not podman_knows("container", self.container):
            raise HostError(f"no such host: {self.name}")
        return podman("container", "inspect", "--format", template, self.container)

    @property
    def address(self) -> str:
        """Where it listens."""
        address = self.inspect("{{.NetworkSettings.IPAddress}}")
        if not address:
            raise HostError(f"host {self.name} has no address: is it running?")
        return address

    def boot(self, image: str, label: str, *options: str) -> None:
        """Replace an earlier container of this name by a fresh one."""
        self.remove()
        PROCESSES.mkdir(parents=True, exist_ok=True)
        names = [f"--name={self.container}", f"--hostname={self.name}", "--systemd=always", f"--label={label}={self.name}"]
        names.append(f"--pidfile={PROCESSES / self.name}")
        podman("run", "--detach", *names, *options, *boot_options(), image)

    def execute(self, *argv: str, data: str = "") -> str:
        """Run a command on it as root, behind the scenes."""
        return run(*inside(self.name), *argv, input=data)

    def ssh_options(self) -> list[str]:
        """How to reach it over ssh without asking anybody."""
        return [
            *("-o", "StrictHostKeyChecking=no"),
            *("-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", "IdentitiesOnly=yes"),
        ]

    def ssh_answers(self) -> bool:
        """Whether deploy can log in."""
        argv = ["ssh", "-n", "-i", str(KEY), "-o", "BatchMode=yes", "-o", "ConnectTimeout=2", *self.ssh_options()]
        done = subprocess.run([*argv, f"deploy@{self.address}", "true"], capture_output=True, check=False)
        return done.returncode == 0

    def wait(self, what: str, condition: t.Callable[[], bool]) -> None:
        """Ask until it is so."""
        deadline = time.monotonic() + BOOT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise HostError(f"host {self.name}: gave up waiting for {what} after {BOOT_SECONDS} s")
            time.sleep(POLL_SECONDS)

    def remove(self) -> None:
        """Remove it, if it exists, with everything it remembers."""
        podman("rm", "--force", "--volumes", "--ignore", "--time=0", self.container)
        (PROCESSES / self.name).unlink(missing_ok=True)
        self.known_hosts.parent.mkdir(parents=True, exist_ok=True)
        self.known_hosts.unlink(missing_ok=True)

    def description(self) -> dict[str, str]:
        """What a caller needs."""
        return {"name": self.name, "ip": self.address, "ssh_key": str(KEY), "image": self.inspect("{{.ImageName}}")}


def inside(name: str) -> list[str]:
    """What runs a command on a host as root: podman exec needs a fifth of a second for that, and tests do it thousands of times.

    What is entered must be a container of that name: the number of a process that ended may be anybody's by now.
    """
    try:
        process = (PROCESSES / name).read_text(encoding="ascii").strip()
        entered = Path(f"/proc/{process}/root/etc/hostname").read_text(encoding="utf-8").strip()
        apart = os.readlink(f"/proc/{process}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    except OSError as error:
        raise HostError(f"no such host: {name}, or it does not run") from error
    if entered != name or not apart:
        raise HostError(f"host {name} does not run")
    namespaces = ("mount", "uts", "ipc", "net", "pid", "cgroup")
    clean = ["env", "-i", *(f"{variable}={value}" for variable, value in INSIDE.items())]
    return ["nsenter", f"--target={process}", *(f"--{namespace}" for namespace in namespaces), "--wdns=/", *clean]


def existing(label: str) -> list[str]:
    """The names of every host with a label."""
    listed = podman("ps", "--all", f"--filter=label={label}", "--format={{.Names}}")
    return [name[len(PREFIX) :] for name in sorted(listed.split())]


def authorized_keys(extra: Path | None) -> str:
    """The generated key, and the caller's."""
    with locked("key"):
        if not KEY.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lastgood-test-host", "-f", str(KEY))
    keys = KEY.with_suffix(".pub").read_text(encoding="utf-8")
    return keys + (extra.read_text(encoding="utf-8") if extra else "")


def split_at_dashes(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first "--"; argparse would drop later ones, too."""
    if "--" not in words:
        return words, []
    index = words.index("--")
    return words[:index], words[index + 1 :]


def execute_command(machine: Machine, argv: t.Sequence[str]) -> int:
    """Run a command on a host as root, with this terminal as its own."""
    if not argv:
        raise HostError("exec needs a command after --")
    return subprocess.run([*inside(machine.name), *argv], check=False).returncode
