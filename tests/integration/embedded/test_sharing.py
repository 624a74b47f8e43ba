"""The embedded servers: found, shared, and left by the last who used them."""

from __future__ import annotations

import os
import signal

from tenure import Tenure
from tenure._embedded import status, stay_up, take_down, users
from tests.integration.embedded.members import DOWN, UP, assert_kept, server_pids, write


async def test_the_first_starts_and_the_last_stops(data, stores):
    one, two = stores(), stores()
    assert await one.start() == await two.start()
    assert (status(data), users(data)) == (UP, 2)
    await one.stop()
    assert (status(data), users(data)) == (UP, 1)
    await two.stop()
    await two.stop()
    assert (status(data), users(data)) == (DOWN, 0)


async def test_starting_twice_is_one_hold(data, stores):
    one = stores()
    assert await one.start() == await one.start()
    assert users(data) == 1
    await one.stop()
    assert status(data) == DOWN


async def test_data_survives_restarts(stores):
    for round_ in range(3):
        one = stores()
        urls = await one.start()
        await (write(urls) if round_ == 0 else assert_kept(urls))
        await one.stop()


async def test_a_member_in_another_process_joins_and_leaves(data, stores, member):
    other = member()
    urls = other.urls()
    one = stores()
    assert list(await one.start()) == urls
    other.leave()
    await write(urls)
    await one.stop()
    assert status(data) == DOWN


async def test_a_killed_member_is_not_counted(data, stores, member):
    one = stores()
    await one.start()
    other = member()
    other.urls()
    assert users(data) == 2
    other.kill()
    assert users(data) == 1
    await one.stop()
    assert status(data) == DOWN
    assert not list((data / "users").iterdir())


async def test_servers_of_a_killed_last_member_are_joined(data, stores, member):
    other = member()
    await write(other.urls())
    before = server_pids(data)
    other.kill()
    assert status(data) == UP
    one = stores()
    await assert_kept(await one.start())
    assert server_pids(data) == before
    await one.stop()
    assert status(data) == DOWN


async def test_a_member_that_forgets_to_leave_does_so_at_exit(data, member):
    other = member("forget")
    other.urls()
    other.leave()
    assert status(data) == DOWN


async def test_a_forked_child_gives_nothing_back(data, stores):
    one = stores()
    await one.start()
    child = os.fork()
    if child == 0:
        try:
            one._leave()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (status(data), users(data)) == (UP, 1)
    await one.stop()
    assert status(data) == DOWN


async def test_twenty_start_at_once(data, member):
    others = [member() for _ in range(20)]
    urls = {tuple(other.urls()) for other in others}
    assert len(urls) == 1
    assert (status(data), users(data)) == (UP, 20)
    log = (data / "postgres" / "server.log").read_text()
    assert log.count("starting PostgreSQL") == 1
    for other in others[::2]:
        other.kill()
    assert status(data) == UP
    for other in others[1::2]:
        other.leave()
    assert status(data) == DOWN


async def test_a_signal_to_the_starter_does_not_reach_the_servers(data, stores, member):
    other = member()
    other.urls()
    one = stores()
    await one.start()
    pids = server_pids(data)
    groups = {os.getpgid(pid) for pid in pids}
    assert other.process.pid not in groups, "its own session, or Ctrl-C stops PostgreSQL"
    other.kill(signal.SIGINT)
    await write(await one.start())
    assert server_pids(data) == pids
    await one.stop()


async def test_stay_up_and_take_down(data, stores):
    urls = stay_up(data)
    assert status(data) == {**UP, "stay_up": True}
    one = stores()
    assert await one.start() == urls
    await one.stop()
    assert status(data) == {**UP, "stay_up": True}
    await one.start()
    assert take_down(data) is False
    assert status(data) == UP
    await one.stop()
    assert status(data) == DOWN
    stay_up(data)
    assert take_down(data) is True
    assert status(data) == DOWN


def test_take_down_of_what_never_was(data):
    assert status(data) == DOWN
    assert take_down(data) is True
    assert not data.exists()


async def test_an_app_without_settings_works_on_them(data, monkeypatch):
    monkeypatch.setenv("TENURE_DATA_DIR", str(data))
    app = Tenure()

    @app.job()
    async def double(n: int) -> int:
        return 2 * n

    async with app, app.worker():
        assert await (await double.enqueue(21)).result(timeout=10) == 42
        assert status(data) == UP
    assert status(data) == DOWN
