"""Each peer in an environment of its own, made once and kept beside this file."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.peers.catalogue import Peer

_HOME: Final = Path(__file__).parent / ".environments"


class CannotRunError(Exception):
    """A peer, or one of its figures, cannot be had; the text says why."""


def interpreter(peer: Peer) -> Path:
    """The Python that has the peer's packages; they are installed if they are not yet, or not these.

    Raises:
        CannotRunError: its Python is not on this machine, or its packages cannot be installed.
    """
    if not peer.requirements.exists():
        return Path(sys.executable)
    wanted = f"{peer.python or '.'.join(map(str, sys.version_info[:2]))}\n{peer.requirements.read_text('utf-8')}"
    place = _HOME / peer.adapter
    stamp = place / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    python = place / "bin" / "python"
    if not stamp.exists():
        shutil.rmtree(place, ignore_errors=True)
        _run(_base(peer), "-m", "venv", place)
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", peer.requirements)
        stamp.touch()
    return python


def versions(peer: Peer) -> str:
    """What was installed of what was asked for by name."""
    if not peer.requirements.exists():
        return "this one"
    return ", ".join(line for line in peer.requirements.read_text("utf-8").split() if "uvloop" not in line)


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
        raise CannotRunError(f"cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
