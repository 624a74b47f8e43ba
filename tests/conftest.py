"""Fixtures in parts: servers, apps, waiting."""

from __future__ import annotations

import pytest

pytest_plugins = ("tests.fix_servers", "tests.fix_apps", "tests.fix_fleet", "tests.fix_waiting")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of what takes long is wanted."""
    parser.addoption("--minutes", type=float, default=2.0, help="how long the leak soak runs (default 2)")
    parser.addoption("--heavy", action="store_true", help="also tests marked heavy")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means."""
    config.addinivalue_line("markers", "heavy: takes long for what it adds; runs with --heavy only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the heavy out, visibly."""
    if not config.getoption("heavy"):
        for item in items:
            if item.get_closest_marker("heavy"):
                item.add_marker(pytest.mark.skip(reason="heavy: runs with --heavy only"))
