"""TLS to both stores: what is trusted, and what is not, is not spoken to."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tenure import Tenure
from tenure.errors import ConfigurationError, StoreUnavailable, Untrusted
from tests.security.tls import Authority, Doorway
from tests.servers import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority.make(tmp_path, "ours")


@pytest.fixture
def stranger(tmp_path) -> Authority:
    return Authority.make(tmp_path, "another")


@pytest.fixture
def redis_socket(redis_url) -> Path:
    """Where the session's Redis listens; the doorway stands before it."""
    if not redis_url.startswith("unix://"):
        pytest.skip("the doorway needs a server of the tests' own")
    return Path(unquote(urlsplit(redis_url).path))


@pytest.fixture
def postgres_socket(postgres_url) -> Path:
    """Where the session's PostgreSQL listens."""
    if "?host=" not in postgres_url:
        pytest.skip("the doorway needs a server of the tests' own")
    return Path(unquote(postgres_url.partition("?host=")[2])) / ".s.PGSQL.5432"


def postgres_at(host: str, port: int, **parameters: str) -> str:
    given = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"postgresql://postgres@{host}:{port}/postgres?{given}"


async def works(settings) -> None:
    """A job is enqueued, woken, run, extended and its result awaited."""
    app = Tenure(settings)

    @app.job()
    async def double(number: int) -> int:
        return number * 2

    async with app, app.worker():
        assert await (await double.enqueue(2)).result(10) == 4


async def refused(settings, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text) as error:
        async with Tenure(settings):
            pass
    assert "BEGIN" not in str(error.value)


async def test_both_stores_by_tls(settings, authority, redis_socket, postgres_socket):
    context = authority.server("localhost")
    async with (
        Doorway(redis_socket, context) as redis,
        Doorway(postgres_socket, context, postgres=True) as postgres,
    ):
        await works(
            replace(
                settings,
                redis_url=f"rediss://localhost:{redis.port}/0?ssl_ca_certs={authority.path}",
                postgres_url=postgres_at("localhost", postgres.port, sslmode="verify-full", sslrootcert=authority.path),
                require_tls=True,
            )
        )
        # the app's, the worker's, the beat's and two subscriptions; and a connection of PostgreSQL's at least
        assert redis.secured >= 4
        assert postgres.secured >= 1
        assert postgres.clear == b""


@pytest.mark.parametrize(
    ("host", "trusted", "expires", "text"),
    [
        ("127.0.0.1", True, None, "not valid for name|NotValidForName"),
        ("localhost", False, None, "UnknownIssuer"),
        ("localhost", True, YESTERDAY, "expired|Expired"),
    ],
    ids=["another host", "unknown authority", "expired"],
)
async def test_a_redis_that_is_not_trusted(settings, authority, stranger, redis_socket, host, trusted, expires, text):
    async with Doorway(redis_socket, authority.server("localhost", expires=expires)) as door:
        known = authority if trusted else stranger
        url = f"rediss://{host}:{door.port}/0?ssl_ca_certs={known.path}"
        await refused(replace(settings, redis_url=url), Untrusted, text)
        assert door.secured == 0


@pytest.mark.parametrize(
    ("host", "trusted", "expires", "text"),
    [
        ("127.0.0.1", True, None, "not valid for|mismatch"),
        ("localhost", False, None, "unable to get|self-signed"),
        ("localhost", True, YESTERDAY, "expired"),
    ],
    ids=["another host", "unknown authority", "expired"],
)
async def test_a_postgres_that_is_not_trusted(
    settings, authority, stranger, postgres_socket, host, trusted, expires, text
):
    async with Doorway(postgres_socket, authority.server("localhost", expires=expires), postgres=True) as door:
        known = authority if trusted else stranger
        url = postgres_at(host, door.port, sslmode="verify-full", sslrootcert=known.path)
        await refused(replace(settings, postgres_url=url), Untrusted, text)


async def test_a_redis_that_is_signed_by_nobody_known_to_the_system(settings, authority, redis_socket):
    async with Doorway(redis_socket, authority.server("localhost")) as door:
        await refused(replace(settings, redis_url=f"rediss://localhost:{door.port}/0"), Untrusted, "UnknownIssuer")


async def test_a_server_without_tls_is_not_spoken_to(settings, authority, redis_socket, postgres_socket):
    """Somebody in between who says that there is no TLS hears no more than the question."""
    async with Doorway(redis_socket, None) as door:
        url = f"rediss://localhost:{door.port}/0?ssl_ca_certs={authority.path}"
        await refused(replace(settings, redis_url=url), Untrusted, "corrupt message")
    async with Doorway(postgres_socket, None, postgres=True) as door:
        for mode in ("require", "verify-ca", "verify-full"):
            url = postgres_at("localhost", door.port, sslmode=mode, sslrootcert=authority.path)
            await refused(replace(settings, postgres_url=url), Untrusted, "SSL")
        assert door.clear == b""


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("rediss://localhost:1/#insecure", "always checked"),
        ("rediss://localhost:1/?ssl_cert_reqs=none", "ssl_ca_certs, ssl_certfile and ssl_keyfile only"),
        ("rediss://localhost:1/?ssl_ca_certs=/absent.pem", "a readable file"),
        ("rediss://localhost:1/?ssl_certfile=/dev/null", "together"),
        ("redis://localhost:1/?ssl_ca_certs=/dev/null", "rediss://"),
    ],
)
async def test_checking_cannot_be_switched_off(settings, url, text):
    await refused(replace(settings, redis_url=url), ConfigurationError, text)


async def test_both_show_certificates(settings, authority, stranger, tmp_path, redis_socket):
    """A server that wants to know its clients by certificate gets one, and whoever has none is told."""
    shown = stranger.made.issue_cert("worker")
    certificate, key = tmp_path / "worker.pem", tmp_path / "worker.key"
    shown.cert_chain_pems[0].write_to_path(certificate)
    shown.private_key_pem.write_to_path(key)
    async with Doorway(redis_socket, authority.server("localhost", clients=stranger)) as door:
        url = f"rediss://localhost:{door.port}/0?ssl_ca_certs={authority.path}"
        await works(replace(settings, redis_url=f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}"))
        await refused(replace(settings, redis_url=url), StoreUnavailable, "redis")


@pytest.mark.parametrize(
    ("field", "url"),
    [
        ("redis_url", "redis://:x@10.1.1.1/0"),
        ("postgres_url", "postgresql://x@10.1.1.1/a"),
        ("postgres_url", "postgresql://x@10.1.1.1/a?sslmode=require"),
        ("postgres_url", "postgresql://x@10.1.1.1/a?sslmode=prefer"),
        ("postgres_url", "postgresql://x@10.1.1.1/a?sslmode=verify-ca"),
    ],
)
async def test_tls_can_be_demanded(settings, field, url):
    """Nothing is connected: the URL itself is refused."""
    await refused(replace(settings, **{field: url}, require_tls=True), ConfigurationError, f"require_tls.*{field}")


@pytest.fixture
def redis_with_tls(server_directory, authority) -> Iterator[int]:
    """The port of a real Redis that ends TLS itself, where the system has one."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server is installed")
    shown = authority.made.issue_cert("localhost")
    directory = server_directory / "tls"
    directory.mkdir(exist_ok=True)
    shown.cert_chain_pems[0].write_to_path(directory / "c.pem")
    shown.private_key_pem.write_to_path(directory / "k.pem")
    with socket.socket() as probe:  # a port that is free now
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--tls-port", str(port), "--bind", "127.0.0.1", "--tls-cert-file", str(directory / "c.pem")]
    flags += ["--tls-key-file", str(directory / "k.pem"), "--tls-auth-clients", "no"]
    server = Valkey(directory, *flags, program=program)
    server.start()
    yield port
    server.kill()


async def test_a_redis_that_ends_tls_itself(settings, authority, redis_with_tls):
    url = f"rediss://localhost:{redis_with_tls}/0?ssl_ca_certs={authority.path}"
    await works(replace(settings, redis_url=url))
