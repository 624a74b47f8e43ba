"""What can be set, from the environment or in code; every value is checked before anything is opened."""

from __future__ import annotations

import difflib
import os
import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tenure import _validate
from tenure._statement import check_schema
from tenure._urls import HIDDEN, check_url, redact
from tenure.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE_PREFIX: Final = "TENURE_"
# Read by the tests, the benchmarks and the command line, not by this class.
_FOREIGN: Final = ("TENURE_TEST_", "TENURE_BENCH_")
_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")
_MIB: Final = 1024 * 1024
_POSTGRES: Final = ("postgresql", "postgres")
_REDIS: Final = ("redis", "rediss", "valkey", "valkeys", "unix", "redis+unix", "valkey+unix")


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """How a process uses its stores.

    Attributes:
        postgres_url: `postgresql://…`; None starts or joins the embedded server. Defaults to None.
        redis_url: `redis://…`, `rediss://…` or `unix://…`; None starts or joins the embedded server. Defaults to None.
        schema: where tenure's tables are. Defaults to "gap006".
        prefix: of every key in Redis. Defaults to "gap006".
        data_dir: where embedded servers keep their data. Defaults to the user's data directory (see `data_path`).
        lease_seconds: how long a lease lives without a beat. Defaults to 30.
        heartbeat_seconds: the time between two beats. Defaults to 10.
        heartbeat_ttl_seconds: how long a worker counts as alive without a beat. Defaults to 60.
        heartbeat_samples: how many of a worker's samples Redis keeps, for who wants to see how it came about. Defaults
            to 60.
        wedge_seconds: how long a handler may hold the event loop before a worker's log says which one, with its stack.
            Defaults to 5.
        rescue_seconds: the time between two sweeps for expired leases. Defaults to 1.
        grace_seconds: how long a stopping worker waits for its attempts. Defaults to 30.
        poison_after: a job that ended its worker this often is buried. Defaults to 3.
        dead_letter_days: how long dead letters are kept. Defaults to 30.
        max_payload_bytes: of a job's encoded arguments. Defaults to 1 MiB.
        max_result_bytes: of a job's encoded result. Defaults to 1 MiB.
        postgres_connections: the most connections of this process. Defaults to 10.
        statement_cache: prepared statements per connection; 0 behind PgBouncer older than 1.21. Defaults to 200.
        allow_weak_durability: accept a server with synchronous_commit=off, which may lose jobs it has acknowledged.
            Defaults to False.
        encryption_keys: a file of keys that encrypt payloads and results, see `docs/security.md`; needs the extra
            `crypto`. Defaults to None.
        signing_keys: a file of keys that sign jobs, so that none is run that was changed on its way. Defaults to None.
        signature_seconds: how long a signature holds, from when the job may run. Defaults to 604800.
        accept_unsealed: where there are keys, also run jobs that are not sealed, for as long as those wait that were
            enqueued before. Defaults to False.
        require_tls: refuse a store on another machine whose URL does not demand TLS with a checked certificate and host
            name (rediss or valkeys as scheme, sslmode=verify-full). Defaults to False.
    """

    postgres_url: str | None = None
    redis_url: str | None = None
    schema: str = "gap006"
    prefix: str = "gap006"
    data_dir: Path | None = None
    lease_seconds: float = 30.0
    heartbeat_seconds: float = 10.0
    heartbeat_ttl_seconds: float = 60.0
    heartbeat_samples: int = 60
    wedge_seconds: float = 5.0
    rescue_seconds: float = 1.0
    grace_seconds: float = 30.0
    poison_after: int = 3
    dead_letter_days: int = 30
    max_payload_bytes: int = _MIB
    max_result_bytes: int = _MIB
    postgres_connections: int = 10
    statement_cache: int = 200
    allow_weak_durability: bool = False
    encryption_keys: Path | None = None
    signing_keys: Path | None = None
    signature_seconds: float = 604_800.0
    accept_unsealed: bool = False
    require_tls: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work, alone or together."""
        for field in fields(self):
            _refuse_misplaced_url(field.name, getattr(self, field.name))
        check_url("postgres_url", self.postgres_url, _POSTGRES)
        check_url("redis_url", self.redis_url, _REDIS)
        _check_text("schema", self.schema)
        check_schema(self.schema)
        _validate.name("prefix", self.prefix)
        for path in ("data_dir", "encryption_keys", "signing_keys"):
            if getattr(self, path) is not None:
                _check_text(path, str(getattr(self, path)))
        for switch in ("allow_weak_durability", "accept_unsealed", "require_tls"):
            if not isinstance(getattr(self, switch), bool):
                raise InvalidInput(switch, "True or False", getattr(self, switch))
        lease = _validate.seconds("lease_seconds", self.lease_seconds, least=1.0, most=86_400.0)
        beat = _validate.seconds("heartbeat_seconds", self.heartbeat_seconds, least=0.1, most=3600.0)
        if beat * 2 > lease:
            raise InvalidInput("heartbeat_seconds", f"at most half of lease_seconds {lease:g}", beat)
        ttl = _validate.seconds("heartbeat_ttl_seconds", self.heartbeat_ttl_seconds, least=0.2, most=86_400.0)
        if ttl <= beat * 2:
            raise InvalidInput("heartbeat_ttl_seconds", f"more than twice heartbeat_seconds {beat:g}", ttl)
        _validate.whole("heartbeat_samples", self.heartbeat_samples, 1, 10_000)
        _validate.seconds("wedge_seconds", self.wedge_seconds, least=0.05, most=3600.0)
        _validate.seconds("rescue_seconds", self.rescue_seconds, least=0.05, most=3600.0)
        _validate.seconds("grace_seconds", self.grace_seconds, most=86_400.0)
        _validate.seconds("signature_seconds", self.signature_seconds, least=1.0)
        _validate.whole("poison_after", self.poison_after, 1, 1000)
        _validate.whole("dead_letter_days", self.dead_letter_days, 1, 36_500)
        _validate.whole("max_payload_bytes", self.max_payload_bytes, 1, 256 * _MIB)
        _validate.whole("max_result_bytes", self.max_result_bytes, 1, 256 * _MIB)
        _validate.whole("postgres_connections", self.postgres_connections, 2, 1000)
        _validate.whole("statement_cache", self.statement_cache, 0, 10_000)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
        """What the `TENURE_*` variables say; `overrides` are fields that come first.

        Raises:
            ConfigurationError: a variable is unknown.
            InvalidInput: a value is refused.
        """
        known = {f"{VARIABLE_PREFIX}{field.name.upper()}": field for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in environ.items():
            if not name.startswith(VARIABLE_PREFIX) or name.startswith(_FOREIGN):
                continue
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f", did you mean {near[0]}" if near else ""
                raise ConfigurationError(f"no setting has this name{hint}: {name}")
            field = known[name]
            if text:
                values[field.name] = _parse(field.name, str(field.type), text)
        if unknown := overrides.keys() - {field.name for field in fields(cls)}:
            raise InvalidInput("overrides", "fields of Settings", sorted(unknown))
        return cls(**{**values, **overrides})

    def __repr__(self) -> str:
        """The settings without the secrets of the URLs."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        shown["postgres_url"] = redact(self.postgres_url)
        shown["redis_url"] = redact(self.redis_url)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def data_path(self) -> Path:
        """Where embedded servers keep their data: one place for all processes of a user, wherever they were started.

        `data_dir`, else `$XDG_DATA_HOME/tenure`, else `~/.local/share/tenure`, on macOS
        `~/Library/Application Support/tenure`, for root `/var/lib/tenure`.
        """
        if self.data_dir is not None:
            return Path(self.data_dir).expanduser().resolve()
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "tenure"
        given = os.environ.get("XDG_DATA_HOME", "")
        if Path(given).is_absolute():  # the specification wants others ignored
            return Path(given).resolve() / "tenure"
        if sys.platform != "win32" and os.geteuid() == 0:
            # Root's home is closed to the user that the servers run as.
            return Path("/var/lib/tenure")
        return Path.home() / ".local" / "share" / "tenure"


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str) or not value or "\x00" in value:
        raise InvalidInput(field, "text without NUL", value)


def _refuse_misplaced_url(field: str, value: object) -> None:
    """A URL in another setting's place is refused without showing it: it may hold a password."""
    if not field.endswith("_url") and isinstance(value, str | Path) and re.search(":/.*@|://", str(value)):
        raise InvalidInput(field, "no URL", HIDDEN)


def _parse(name: str, kind: str, text: str) -> object:
    field = VARIABLE_PREFIX + name.upper()
    _refuse_misplaced_url(name, text)
    if kind.startswith("bool"):
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        raise InvalidInput(field, "true or false", text)
    if kind.startswith("Path"):
        return Path(text)
    if kind.startswith(("int", "float")):
        try:
            return int(text) if kind.startswith("int") else float(text)
        except ValueError as error:
            raise InvalidInput(field, "a whole number" if kind.startswith("int") else "a number", text) from error
    return text
