"""Fixtures in parts: servers, apps, waiting."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import hypothesis
import pytest

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

# The longest come first: whoever takes one of them last works on it alone.
_LONGEST: Final = ("faults/test_leaks.py", "faults/test_exits.py", "property", "faults", "check", "acceptance")
_TESTS: Final = Path(__file__).parent

pytest_plugins = ("tests.fix_servers", "tests.fix_apps", "tests.fix_fleet", "tests.fix_waiting")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of what takes long is wanted."""
    parser.addoption("--minutes", type=float, default=2.0, help="how long the leak soak runs (default 2)")
    parser.addoption("--heavy", action="store_true", help="also tests marked heavy")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means, and hear Ctrl-C, which a background job of a shell and its children would ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "heavy: takes long for what it adds; runs with --heavy only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the heavy out, visibly, and begin with what takes longest."""
    if not config.getoption("heavy"):
        for item in items:
            if item.get_closest_marker("heavy"):
                item.add_marker(pytest.mark.skip(reason="heavy: runs with --heavy only"))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """When an item's file has its turn; files of one turn stay in their order."""
    path = item.path.relative_to(_TESTS).as_posix()
    return next((turn for turn, place in enumerate(_LONGEST) if path.startswith(place)), len(_LONGEST))
