"""Fixtures in parts: servers, apps, waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = ("tests.fix_servers", "tests.fix_apps", "tests.fix_waiting")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of what takes long is wanted."""
    parser.addoption("--minutes", type=float, default=0.25, help="how long the leak soak runs (default 0.25)")
    parser.addoption("--heavy", action="store_true", help="also what takes minutes: a rebuild of 10^6 jobs")
