"""What is asked of the servers before work begins, and what `tenure doctor` reports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from tenure.errors import ConfigurationError, MigrationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenure._database import Database, Row
    from tenure._engine import ServerInfo
    from tenure.settings import Settings

# Passwords that stand in examples and images; on a server that others can reach they are none.
KNOWN_DEFAULTS: Final = frozenset(
    ("password", "postgres", "redis", "redis@openspg", "changeme", "admin", "secret", "example", "test", "root", "1234")
)
_LOOPBACK: Final = ("", "localhost", "127.0.0.1", "::1")
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
    """Refuse passwords that everybody knows, unless the server is on this machine.

    Raises:
        ConfigurationError: a password is a known default.
    """
    for field, url in (("postgres_url", settings.postgres_url), ("redis_url", settings.redis_url)):
        if url is None:
            continue
        parts = urlsplit(url)
        if (parts.hostname or "") in _LOOPBACK or parts.scheme.endswith("unix"):
            continue
        if parts.password is not None and unquote(parts.password).lower() in KNOWN_DEFAULTS:
            raise ConfigurationError(f"the password in {field} is a known default, choose another one")


def redis_findings(server: ServerInfo) -> list[Finding]:
    """What Redis must be for a job to stay in it."""
    oldest = _OLDEST_VALKEY if server.product == "valkey" else _OLDEST_REDIS
    recent = _version(server.version) >= oldest
    policy = server.maxmemory_policy
    return [
        Finding(
            name="redis version",
            level="ok" if recent else "fail",
            text=f"{server.product} {server.version}",
            advice="" if recent else f"use {server.product} {oldest[0]}.{oldest[1]} or newer",
        ),
        Finding(
            name="redis maxmemory-policy",
            level={"noeviction": "ok", "unknown": "warn"}.get(policy, "fail"),  # type: ignore[arg-type]  # the three levels
            text=policy,
            advice="" if policy == "noeviction" else "set maxmemory-policy noeviction: any other one evicts jobs",
        ),
        Finding(
            name="redis password",
            level="ok" if server.password_set or server.loopback else "fail",
            text="set" if server.password_set else "none",
            advice=""
            if server.password_set or server.loopback
            else "require a password: the server is not on this machine",
        ),
        Finding(
            name="redis append-only file",
            level="ok" if server.appendonly else "warn",
            text="on" if server.appendonly else "off",
            advice=""
            if server.appendonly
            else "after a restart the queues are rebuilt from postgresql, which takes time",
        ),
        _offset("redis clock", server.time_ms),
    ]


def postgres_findings(row: Row, settings: Settings) -> list[Finding]:
    """What PostgreSQL must be for a commit to hold; `row` is one of `server.sql`."""
    major = row["version_num"] // 10_000
    weak = row["synchronous_commit"] == "off" or row["fsync"] == "off"
    left = row["max_connections"] - row["connections"]
    return [
        Finding(
            name="postgresql version",
            level="fail" if major < _OLDEST_POSTGRES else "warn" if major > _NEWEST_POSTGRES else "ok",
            text=row["version"],
            advice="" if _OLDEST_POSTGRES <= major <= _NEWEST_POSTGRES else "supported are 15 to 18",
        ),
        Finding(
            name="postgresql durability",
            level="ok" if not weak else "warn" if settings.allow_weak_durability else "fail",
            text=f"synchronous_commit {row['synchronous_commit']}, fsync {row['fsync']}",
            advice=""
            if not weak
            else "turn both on, or accept the loss of acknowledged jobs with allow_weak_durability",
        ),
        Finding(
            name="postgresql connections",
            level="ok" if left >= _FEW_CONNECTIONS else "warn",
            text=f"{left} of {row['max_connections']} left",
            advice="" if left >= _FEW_CONNECTIONS else "raise max_connections, or use a pooler",
        ),
        _offset("postgresql clock", row["time_ms"]),
    ]


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
    if not row["migrated"]:
        raise MigrationError(f"the schema is not migrated, run `tenure migrate up`: {settings.schema}")


def _refuse(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.level == "fail":
            raise ConfigurationError(f"{finding.name} is refused, {finding.advice}: {finding.text}")


def _offset(name: str, time_ms: int) -> Finding:
    # Nothing depends on this machine's clock; an offset only makes logs and run_at puzzling.
    offset = round(time_ms - time.time() * 1000)
    near = abs(offset) <= _MOST_OFFSET_MS
    return Finding(
        name=name,
        level="ok" if near else "warn",
        text=f"{offset:+d} ms from this machine's",
        advice="" if near else "synchronise the clocks (NTP)",
    )


def _version(text: str) -> tuple[int, ...]:
    digits = [part for part in text.split(".")[:2] if part.isdigit()]
    return tuple(int(part) for part in digits)
