"""The shipped files for roles and users, applied as their readers would apply them."""

from __future__ import annotations

import hashlib
import subprocess
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
import redis

from tests.servers import POSTGRES_BIN, Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tenure import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
ROLES = ("producer", "results", "worker", "operator", "metrics")
USERS = ("admin", "producer", "worker", "operator", "metrics")
SECRET = "of-this-test-only"


class Access(NamedTuple):
    """Both stores as one login sees them."""

    postgres: str
    redis: str
    settings: Settings


def run_psql(url: str, schema: str) -> subprocess.CompletedProcess[str]:
    """Apply the roles as the file says."""
    command = [str(POSTGRES_BIN / "psql"), url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"schema={schema}"]
    return subprocess.run([*command, "-f", str(DEPLOY / "roles.sql")], capture_output=True, text=True, check=True)


def url_of(url: str, login: str) -> str:
    """The same server, another login."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{login}:{SECRET}@{place}").geturl()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def postgres_roles(postgres_url: str, migrated_schema: str) -> AsyncIterator[dict[str, str]]:
    """A login for each role, by the role's name; `producer` may not wait for results, `waiter` may."""
    schema = migrated_schema
    run_psql(postgres_url, schema)
    logins = {name: f"{schema}_{name}_login" for name in (*ROLES, "waiter")}
    async with connected(postgres_url) as connection:
        for name, login in logins.items():
            groups = [f"{schema}_producer", f"{schema}_results"] if name == "waiter" else [f"{schema}_{name}"]
            await connection.execute(f"CREATE ROLE {login} LOGIN PASSWORD '{SECRET}' IN ROLE {', '.join(groups)}")
        yield {name: url_of(postgres_url, login) for name, login in logins.items()}
        for role in (*logins.values(), *(f"{schema}_{name}" for name in (*ROLES, "replacer"))):
            await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def users_file(prefix: str) -> str:
    """The shipped users with this prefix and the tests' password, switched on."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    lines = (DEPLOY / "users.acl").read_text().replace("gap006", prefix).splitlines()
    return "".join(f"{line.replace(' off resetpass', f' on #{digest}', 1)}\n" for line in lines[1:]) + f"{lines[0]}\n"


@pytest.fixture
def redis_users(server_directory: Path, prefix: str) -> Iterator[dict[str, str]]:
    """A Redis that knows the shipped users; a URL for each, by the user's name."""
    directory = server_directory / f"a{prefix[2:8]}"
    directory.mkdir()
    (directory / "users.acl").write_text(users_file(prefix))
    server = Valkey(directory, "--aclfile", str(directory / "users.acl"))
    server.start()
    place = f"unix://{quote(str(server.socket))}"
    yield {name: f"{place}?user={prefix}-{name}&pass={SECRET}" for name in USERS}
    server.kill()


def redis_client(url: str) -> redis.Redis:
    """redis-py's client for a URL of ours: on Unix sockets it has other names for who and the password."""
    return redis.Redis.from_url(url.replace("user=", "username=").replace("pass=", "password="))


@pytest.fixture
def access(settings: Settings, postgres_roles: dict[str, str], redis_users: dict[str, str]) -> dict[str, Access]:
    """Both stores for each role."""
    made = {}
    for name in ("producer", "waiter", "worker", "operator", "metrics"):
        redis_url = redis_users["producer" if name == "waiter" else name]
        given = replace(settings, postgres_url=postgres_roles[name], redis_url=redis_url)
        made[name] = Access(postgres_roles[name], redis_url, given)
    return made
