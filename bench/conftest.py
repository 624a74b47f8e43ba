"""Fixtures: stores for the session, a namespace per benchmark, one loop for all rounds of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.machine import machine
from bench.servers import Servers, servers
from bench.space import Space, space
from tenure.bench.loop import new_loop, run

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from tenure import Tenure


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --quick."""
    parser.addoption("--quick", action="store_true", help="run every benchmark once, tiny, to show that they work")


def pytest_configure(config: pytest.Config) -> None:
    """One tiny round each, without a table of their statistics."""
    if config.getoption("--quick"):
        config.option.benchmark_min_rounds = 1
        config.option.benchmark_max_time = 0.001
        config.option.benchmark_min_time = 0.00001
        config.option.benchmark_quiet = True


@pytest.fixture(scope="session")
def quick(request: pytest.FixtureRequest) -> bool:
    """Whether figures do not matter."""
    return bool(request.config.getoption("--quick"))


@pytest.fixture(scope="session")
def stores(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """The servers; machine and versions are printed above the figures."""
    with servers() as running:
        reporter = request.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line("")
            for name, value in run(machine(running)).items():
                reporter.write_line(f"{name}: {value}")
        yield running


@pytest.fixture
def here(stores: Servers) -> Iterator[Space]:
    """A fresh schema and prefix."""
    with space(stores) as made:
        yield made


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One loop for all rounds of a benchmark: opening stores is not what it measures."""
    made = new_loop()
    yield made
    made.close()


@pytest.fixture
def producer(here: Space, loop: asyncio.AbstractEventLoop) -> Iterator[Tenure]:
    """An open app on the fresh namespace."""
    app = here.producer()
    loop.run_until_complete(app.__aenter__())
    yield app
    loop.run_until_complete(app.close())
