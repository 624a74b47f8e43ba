"""Which files, in which packages, how urgent."""

from __future__ import annotations

import sysconfig
from collections import defaultdict
from pathlib import Path
from typing import Final

from tenure.errors import InvalidInput

# Small files first: each bound is the most bytes for the priority beside it.
_PRIORITIES: Final = ((2_000, 5), (8_000, 4), (32_000, 3), (128_000, 2))
_INSTALLED: Final = {"site-packages", "dist-packages"}


def standard_library() -> Path:
    """The source tree of the running Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def packages_of(root: Path) -> dict[str, list[Path]]:
    """The Python files under a directory by package; distributions installed below it are none of it.

    Raises:
        InvalidInput: the directory is not there, or has no Python file.
    """
    root = root.absolute()  # the workers open the files by the same names
    if not root.is_dir():
        raise InvalidInput("path", "a directory", str(root))
    packages: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        package = path.parent.relative_to(root)
        # Below the root only: a distribution itself may be what is asked for.
        if _INSTALLED.isdisjoint(package.parts) and path.is_file():
            packages[str(package)].append(path)
    if not packages:
        raise InvalidInput("path", "a directory with Python files in it", str(root))
    return dict(packages)


def priority_of(path: Path) -> int:
    """5 for the smallest files, 1 for the largest."""
    size = path.stat().st_size
    return next((priority for most, priority in _PRIORITIES if size <= most), 1)
