"""What is asked of the servers before work begins, and what `tenure doctor` reports."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tenure._engine import migrations
from tenure._urls import demands_tls, is_local, password
from tenure.errors import ConfigurationError, MigrationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenure._database import Database, Row
    from tenure._engine import ServerInfo
    from tenure.overview import Overview
    from tenure.settings import Settings

# Passwords that stand in examples and images; on a server that others can reach they are none.
# fmt: off
KNOWN_DEFAULTS: Final = frozenset((
    "password", "passw0rd", "pass", "postgres", "postgresql", "redis", "valkey", "redis@openspg", "openspg",
    "changeme", "change-me", "changeit", "admin", "administrator", "secret", "example", "test", "root", "default",
    "guest", "user", "1234", "12345", "123456", "12345678", "qwerty", "letmein", "mysecretpassword", "foobared",
    "gap006", "tenure",
))
# fmt: on
_HOW_TO_DEMAND: Final = "use rediss:// and sslmode=verify-full"
_OLDEST_POSTGRES: Final = 15
_NEWEST_POSTGRES: Final = 18
_OLDEST_REDIS: Final = (7, 0)
_OLDEST_VALKEY: Final = (8, 0)
_MOST_OFFSET_MS: Final = 1000
_FEW_CONNECTIONS: Final = 10


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at; `fail` refuses to start, `warn` weakens a promise."""

    name: str
    level: Literal["ok", "warn", "fail"]
    text: str
    advice: str = ""


def check_urls(settings: Settings) -> None:
    """Refuse known passwords, and what `require_tls` does not allow, unless the server is on this machine.

    Raises:
        ConfigurationError: a password is a known default, or empty; or a URL does not demand TLS.
    """
    for field, url in _remote_urls(settings):
        if settings.require_tls and not demands_tls(url):
            raise ConfigurationError(f"require_tls refuses {field}: {_HOW_TO_DEMAND}")
        secret = password(url)
        if secret == "":
            raise ConfigurationError(f"the password in {field} is empty, and the server is not on this machine")
        if secret is not None and secret.lower() in KNOWN_DEFAULTS:
            raise ConfigurationError(f"the password in {field} is a known default, choose another one")


def encryption_findings(settings: Settings) -> list[Finding]:
    """Which stores on other machines may be spoken to in the clear."""
    return [
        _finding(
            f"{field.removesuffix('_url')} encryption",
            "tls" if demands_tls(url) else "not demanded",
            warn="" if demands_tls(url) else f"whoever is in between may read along: {_HOW_TO_DEMAND}",
        )
        for field, url in _remote_urls(settings)
    ]


def _remote_urls(settings: Settings) -> list[tuple[str, str]]:
    given = (("postgres_url", settings.postgres_url), ("redis_url", settings.redis_url))
    return [(field, url) for field, url in given if url is not None and not is_local(url)]


def given_urls(settings: Settings) -> tuple[str, str] | None:
    """PostgreSQL's URL and Redis', or None where the embedded servers are meant.

    Raises:
        ConfigurationError: one is given without the other. Machines that share a PostgreSQL, each with an embedded
            Valkey of its own, would each have a queue of their own.
    """
    postgres_url, redis_url = settings.postgres_url, settings.redis_url
    if postgres_url is not None and redis_url is not None:
        return postgres_url, redis_url
    if postgres_url is None and redis_url is None:
        return None
    absent = "postgres_url" if postgres_url is None else "redis_url"
    raise ConfigurationError(
        f"{absent} is not set and the other store's URL is: set TENURE_POSTGRES_URL and TENURE_REDIS_URL, or neither "
        "for the embedded servers"
    )


def redis_findings(server: ServerInfo) -> list[Finding]:
    """What Redis must be for a job to stay in it."""
    return [
        _redis_version(server),
        _eviction(server.maxmemory_policy),
        _finding(
            "redis password",
            "set" if server.password_set else "none",
            fail=""
            if server.password_set or server.loopback
            else "require a password: the server is not on this machine",
        ),
        _finding(
            "redis append-only file",
            "on" if server.appendonly else "off",
            warn=""
            if server.appendonly
            else "after a restart the queues are rebuilt from postgresql, which takes time",
        ),
        _offset("redis clock", server.time_ms),
    ]


def postgres_findings(row: Row, settings: Settings) -> list[Finding]:
    """What PostgreSQL must be for a commit to hold; `row` is one of `server.sql`."""
    major = row["version_num"] // 10_000
    durability = {name: row[name] for name in ("synchronous_commit", "fsync", "full_page_writes")}
    off = [name for name, value in durability.items() if value == "off"]
    allowed = settings.allow_weak_durability
    weak = f"turn on {', '.join(off)}, or accept that acknowledged jobs may be lost with allow_weak_durability"
    left = row["max_connections"] - row["connections"]
    return [
        _finding(
            "postgresql version",
            row["version"],
            fail="use version 15 to 18" if major < _OLDEST_POSTGRES else "",
            warn="tenure is tested with versions 15 to 18" if major > _NEWEST_POSTGRES else "",
        ),
        _finding(
            "postgresql durability",
            ", ".join(f"{name} {value}" for name, value in durability.items()),
            fail=weak if off and not allowed else "",
            warn="acknowledged jobs may be lost, as allow_weak_durability accepts" if off and allowed else "",
        ),
        _finding(
            "postgresql connections",
            f"{left} of {row['max_connections']} left",
            warn="raise max_connections, or use a pooler" if left < _FEW_CONNECTIONS else "",
        ),
        _offset("postgresql clock", row["time_ms"]),
    ]


def work_findings(seen: Overview) -> list[Finding]:
    """Jobs that no live worker can run, and limits that lanes wait for."""
    nobodys = [
        _finding(
            "jobs that nobody can run",
            f"{one.queue}: {one.jobs} require {one.requires}"
            + ("" if one.since is None else f", since {one.since:%Y-%m-%d %H:%M:%S}"),
            warn="start a worker that offers it, or cancel them",
        )
        for one in seen.unplaceable
    ]
    waited_for = [
        _finding("limits", f"{one.queue}, {one.limit}: {one.used:g} of {_most(one.most)}, lanes that wait {one.parked}")
        for one in seen.limits
        if one.parked
    ]
    return (nobodys or [_finding("jobs that nobody can run", "none")]) + waited_for


def _most(value: float | None) -> str:
    return "a rate" if value is None else f"{value:g}"


def check_redis(server: ServerInfo) -> None:
    """Refuse a server that would lose jobs or is open to everybody."""
    _refuse(redis_findings(server))


async def check_postgres(database: Database, settings: Settings) -> None:
    """Refuse a server that would lose what it acknowledged, or a schema that is not there.

    Raises:
        ConfigurationError: the server's configuration is refused.
        MigrationError: the schema is not migrated.
    """
    row = (await database.fetch("server"))[0]
    _refuse(postgres_findings(row, settings))
    applied = {one["name"] for one in await database.fetch("applied_migrations")} if row["migrated"] else set()
    # A newer schema is fine: migrations are additive, and workers are replaced after it.
    missing = [name for name, _, _ in migrations() if name not in applied]
    if missing:
        raise MigrationError(
            f"schema {settings.schema} is not migrated, run `tenure migrate up`, missing: {missing[0]}"
        )


def _refuse(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.level == "fail":
            raise ConfigurationError(f"{finding.name} is refused, {finding.advice}: {finding.text}")


def _finding(name: str, text: str, *, fail: str = "", warn: str = "") -> Finding:
    """The level follows from which advice there is."""
    return Finding(name=name, level="fail" if fail else "warn" if warn else "ok", text=text, advice=fail or warn)


def _redis_version(server: ServerInfo) -> Finding:
    oldest = _OLDEST_VALKEY if server.product == "valkey" else _OLDEST_REDIS
    version = _version(server.version)
    wanted = f"{server.product} {oldest[0]}.{oldest[1]} or newer"
    return _finding(
        "redis version",
        f"{server.product} {server.version}",
        fail=f"use {wanted}" if version and version < oldest else "",
        warn="" if version else f"the server does not tell, it must be {wanted}",
    )


def _eviction(policy: str) -> Finding:
    unknown = policy == "unknown"
    return _finding(
        "redis maxmemory-policy",
        policy,
        fail="" if unknown or policy == "noeviction" else "set maxmemory-policy noeviction: any other one evicts jobs",
        warn="the server does not tell (INFO is forbidden), it must be noeviction" if unknown else "",
    )


def _offset(name: str, time_ms: int) -> Finding:
    # Nothing depends on this machine's clock; an offset only makes logs and run_at puzzling.
    offset = round(time_ms - time.time() * 1000)
    return _finding(
        name,
        f"{offset:+d} ms from this machine's",
        warn="synchronise the clocks (NTP)" if abs(offset) > _MOST_OFFSET_MS else "",
    )


def _version(text: str) -> tuple[int, ...]:
    """Empty where it is unknown."""
    digits = [re.match(r"\d+", part) for part in text.split(".")[:2]]
    return tuple(int(digit[0]) for digit in digits if digit)
