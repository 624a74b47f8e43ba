"""Each peer in an environment of its own, made once and kept beside this file."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.peers.catalogue import Peer

_HERE: Final = Path(__file__).parent
_HOME: Final = _HERE / ".environments"
_NODE: Final = _HERE / "node"


class CannotRunError(Exception):
    """A peer, or one of its figures, cannot be had; the text says why."""


def driver(peer: Peer) -> list[str]:
    """What starts a process of the peer, with its packages; they are installed if they are not yet, or not these.

    Raises:
        CannotRunError: its language is not on this machine, or its packages cannot be installed.
    """
    if peer.node:
        return [_found("node"), str(_node() / "driver.mjs"), peer.adapter]
    python = _python(peer) if peer.requirements.exists() else Path(sys.executable)
    return [str(python), str(_HERE / "driver.py"), peer.adapter]


def versions(peer: Peer) -> str:
    """What was installed of what was asked for by name."""
    if peer.node:
        named = json.loads((_NODE / "package.json").read_text("utf-8"))["dependencies"]
        return ", ".join(f"{name}=={named[name]}" for name in peer.packages)
    if not peer.requirements.exists():
        return f"tenure=={version('tenure')}"
    named, _, _ = peer.requirements.read_text("utf-8").partition("#")
    return ", ".join(line for line in named.split() if "uvloop" not in line)


def _python(peer: Peer) -> Path:
    text = peer.requirements.read_text("utf-8")
    place = _HOME / peer.adapter
    stamp = _stamp(place, f"{peer.python or '.'.join(map(str, sys.version_info[:2]))}\n{text}")
    python = place / "bin" / "python"
    if not stamp.exists():
        shutil.rmtree(place, ignore_errors=True)
        _run(_base(peer), "-m", "venv", place)
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", peer.requirements)
        stamp.touch()
    return python


def _node() -> Path:
    """The sources of Node's peers, beside their modules: that is where Node looks for them."""
    place = _HOME / "node"
    stamp = _stamp(place, (_NODE / "package-lock.json").read_text("utf-8"))
    if not stamp.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_NODE / name, place)
        quiet = ("--loglevel", "error", "--ignore-scripts", "--no-audit", "--no-fund")
        # Not `ci`: that refuses a lock without the optional packages of other platforms. The versions are the lock's.
        _run(_found("npm"), "install", "--no-save", *quiet, "--prefix", place)
        stamp.touch()
    for source in _NODE.glob("*.mjs"):
        shutil.copy(source, place)
    return place


def _stamp(place: Path, wanted: str) -> Path:
    """A file that is there when the environment is whole and what is wanted."""
    return place / hashlib.sha256(wanted.encode()).hexdigest()[:16]


def _found(program: str) -> str:
    if (path := shutil.which(program)) is None:
        raise CannotRunError(f"needs {program}")
    return path


def _base(peer: Peer) -> Path:
    if peer.python is None:
        return Path(sys.executable)
    known = [Path(found) for found in [shutil.which(f"python{peer.python}")] if found]
    for path in [*known, *sorted(Path.home().glob(f".pyenv/versions/{peer.python}.*/bin/python"))]:
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    raise CannotRunError(f"needs Python {peer.python}")


def _run(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRunError(f"cannot be installed: {last_line(done.stderr)}")


def last_line(said: str) -> str:
    """The last that a program had to say."""
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
