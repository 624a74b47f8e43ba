"""A data directory of the test's own, and those who use the servers in it."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING

import pytest

from tenure import Settings
from tenure._embedded import EmbeddedStores, take_down

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
from tests.integration.embedded.members import Member, servers_in


@pytest.fixture
def data(server_directory: Path) -> Iterator[Path]:
    """A data directory that is not there yet; whatever runs in it is ended afterwards."""
    place = server_directory / uuid.uuid4().hex[:6] / "d"
    yield place
    if place.exists():
        shutil.rmtree(place / "users", ignore_errors=True)
        take_down(place)
        assert not servers_in(place.parent)
        shutil.rmtree(place.parent)


@pytest.fixture
def stores(data):
    """Makes holds on the test's data directory."""
    return lambda: EmbeddedStores(Settings(data_dir=data))


@pytest.fixture
def member(data):
    """Starts member processes and ends those that the test left."""
    made: list[Member] = []

    def start(*options: str, **more: object) -> Member:
        made.append(Member(data, *options, **more))
        return made[-1]

    yield start
    for one in made:
        if one.process.returncode is None:
            one.kill()
