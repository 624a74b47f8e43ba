"""Where the embedded servers' programs, data and sockets are, and as whom they run."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import sysconfig
from pathlib import Path
from typing import Final, NamedTuple

from tenure.errors import ConfigurationError

# PostgreSQL refuses to run as root; root starts the servers as this user, which every system has.
SERVER_USER: Final = "nobody"
_URLS: Final = "set TENURE_POSTGRES_URL and TENURE_REDIS_URL"
ADVICE: Final = f"pip install 'tenure[embedded]' or {_URLS}"
_LONGEST_SOCKET: Final = 100  # a Unix socket's path has at most 107 bytes on Linux, 103 on macOS
_LONGEST_NAME: Final = len("/.s.PGSQL.5432")
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._@+ -]+")  # needs no quoting in either server's configuration
# Not the caller's whole environment: it may hold secrets, and PG… variables that change what the programs do.
_ENVIRONMENT: Final = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Owner(NamedTuple):
    """The user that the servers run as, where it is not the caller."""

    uid: int
    gid: int


def server_owner() -> Owner | None:
    """None for everybody but root.

    Raises:
        ConfigurationError: the system has no such user.
    """
    if os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - not on Windows

    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise ConfigurationError(
            f"run as root, the embedded servers need a system user, {_URLS}: {SERVER_USER}"
        ) from None
    return Owner(entry.pw_uid, entry.pw_gid)


def server_environment() -> dict[str, str]:
    """What the servers may see of the caller's environment."""
    return {"LC_ALL": "C", **{name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}}


def package_directory(name: str) -> Path:
    """Where a wheel is installed; found, not imported, for importing one of them looks for directories and warns."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        if "musl" in str(sysconfig.get_config_var("SOABI")):
            raise ConfigurationError(f"there are no embedded servers for musl, {_URLS}: {name}")
        raise ConfigurationError(f"no store is configured and a package is not installed, {ADVICE}: {name}")
    return Path(found.origin).parent


def run_directory(data: Path) -> Path:
    """Where the sockets are: beside the data, or somewhere short; the same for every process."""
    run = data / "run"
    if len(os.fsencode(run)) + _LONGEST_NAME <= _LONGEST_SOCKET and _PLAIN.fullmatch(str(run)):
        return run
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    # Not tempfile.gettempdir(): processes of one user with different TMPDIR must meet.
    return Path(f"/tmp/tenure-{os.geteuid()}-{digest}")  # noqa: S108 - private_directory refuses what others made


def make_data_directory(data: Path, owner: Owner | None) -> None:
    """The directory that holds everything; a new one is the user's alone, or open to pass through for root's servers.

    Raises:
        ConfigurationError: it cannot be made or written, or the servers' user cannot reach it.
    """
    try:
        fresh = not data.exists()
        data.mkdir(parents=True, exist_ok=True)
        if fresh:
            data.chmod(0o755 if owner else 0o700)
    except OSError as error:
        raise ConfigurationError(f"data_dir cannot be made, set TENURE_DATA_DIR to another one: {error}") from error
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"data_dir cannot be written, set TENURE_DATA_DIR to another one: {data}")
    closed = [parent for parent in (data, *data.parents) if owner and not parent.stat().st_mode & 0o001]
    if closed:
        raise ConfigurationError(
            f"data_dir is closed to the user {SERVER_USER}, as whom root's embedded servers run, "
            f"open it with chmod o+x or set TENURE_DATA_DIR to another one: {closed[-1]}"
        )


def private_directory(path: Path, owner: Owner | None) -> None:
    """A directory that only the servers' user may enter; one that somebody else made first is refused.

    Raises:
        ConfigurationError: it is a link, or another user's.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), owner.uid if owner else os.geteuid()}:
        raise ConfigurationError(f"an embedded server's directory belongs to somebody else: {path}")
    if owner:
        os.chown(path, owner.uid, owner.gid)
    path.chmod(0o700)


def reachable(packages: tuple[str, ...], data: Path, owner: Owner | None) -> Path:
    """A directory with these packages that the servers' user can read: site-packages itself, or a copy beside the data.

    Root's own site-packages may be closed to everybody else.
    """
    site = package_directory(packages[0]).parent.resolve()
    if not owner or all(path.stat().st_mode & 0o001 for path in (site / packages[0], site, *site.parents)):
        return site
    stamp = hashlib.sha256(f"{site}{(site / packages[0]).stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = data / f"{packages[0]}-{stamp}"
    if copy.exists():
        return copy
    for left in data.glob(f"{packages[0]}-*"):  # of older versions, or half made
        shutil.rmtree(left)
    part = copy.with_suffix(".part")
    for package in packages:
        if (site / package).exists():
            shutil.copytree(site / package, part / package, symlinks=True)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))
    part.rename(copy)
    return copy
