"""Redis as the checker looks at it and spoils it, beside tenure's connections. The only module that imports redis."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from tenure.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

try:
    from redis import asyncio as redis
    from redis.exceptions import RedisError
except ImportError as missing:  # pragma: no cover - the extra is installed where this is tested
    raise ConfigurationError("`tenure check` needs the redis package: pip install 'tenure[check]'") from missing

_WAITING: Final = ("high-priority-queue", "medium-priority-queue", "low-priority-queue", "scheduled-queue")
_LEASED: Final = ("processing-queue", "rescue-queue")
_OTHERS: Final = ("dead-letter-queue", "jobs", "generation", "idle", "lane-idle", "cancelled", "duty")
_BATCH: Final = 500


class QueueSample(msgspec.Struct, frozen=True, kw_only=True):
    """One queue at one instant: which job is where, and until when (ms of the server's clock) each lease lives."""

    queue: str
    now_ms: int
    waiting: dict[str, list[str]]  # job ids by structure
    leases: dict[str, float]  # deadline by `job_id:fence`
    rescuing: list[str]
    descriptors: int
    dead: list[str]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"redis cannot be asked: {error}") from error


class RedisWitness:
    """The checker's own connections to Redis.

    Workers and client log in as a user of their own, which may touch nothing but the run's keys; so their connections
    can be told from everybody else's.
    """

    def __init__(self, url: str, prefix: str, queues: Sequence[str]) -> None:
        """Prepare; nothing is connected yet."""
        self.prefix: Final = prefix
        self._url = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
        self._queues = tuple(queues)
        self._user: str | None = None
        self._password = secrets.token_urlsafe(24)
        self._client = redis.Redis.from_url(self._url, decode_responses=True, socket_timeout=10.0)

    async def ping(self) -> None:
        """Tell at once if it does not answer.

        Raises:
            StoreUnavailable: it does not.
        """
        try:
            with _translated():
                await self._client.ping()
        except StoreUnavailable:
            await self._client.aclose()
            raise

    async def make_user(self) -> str:
        """Make the run's own user; the URL with which workers log in as it, or the given one if that is refused."""
        keys = f"{self.prefix}:*"
        try:
            await self._command(
                *("ACL", "SETUSER", self.prefix, "reset", "on", f">{self._password}", f"~{keys}", f"&{keys}", "+@all")
            )
        except RedisError:
            return self._url
        self._user = self.prefix
        parts = urlsplit(self._url)
        if "unix" in parts.scheme:
            mark = "&" if parts.query else "?"
            return f"{self._url}{mark}user={self._user}&pass={quote(self._password)}"
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{self._user}:{quote(self._password)}@{place}"))

    async def clean_up(self) -> int:
        """Delete the run's keys and its user, and close; how many keys there were."""
        deleted = 0
        found = [key async for key in self._client.scan_iter(f"{self.prefix}:*", 1000)]
        for start in range(0, len(found), _BATCH):
            deleted += await self._client.unlink(*found[start : start + _BATCH])
        if self._user is not None:
            await self._command("ACL", "DELUSER", self._user)
        await self._client.aclose()
        return deleted

    async def keys(self) -> list[str]:
        """The run's keys that never expire."""
        keys = [key async for key in self._client.scan_iter(f"{self.prefix}:*", 1000)]
        async with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.pttl(key)
            lives = await pipe.execute()
        return [key for key, life in zip(keys, lives, strict=True) if life == -1]

    async def sample(self) -> list[QueueSample]:
        """Every queue, each at one instant."""
        with _translated():
            return [await self._sample(queue) for queue in self._queues]

    async def _sample(self, queue: str) -> QueueSample:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.time()
            for name in _WAITING:
                pipe.zrange(self._key(queue, name), 0, -1)
            pipe.zrange(self._key(queue, "processing-queue"), 0, -1, withscores=True)
            pipe.zrange(self._key(queue, "rescue-queue"), 0, -1)
            pipe.hlen(self._key(queue, "jobs"))
            pipe.zrange(self._key(queue, "dead-letter-queue"), 0, -1)
            time, *waiting, leases, rescuing, descriptors, dead = await pipe.execute()
        return QueueSample(
            queue=queue,
            now_ms=time[0] * 1000 + time[1] // 1000,
            waiting=dict(zip(_WAITING, waiting, strict=True)),
            leases={member: score for member, score in leases},  # noqa: C416 - redis gives lists, not pairs
            rescuing=rescuing,
            descriptors=descriptors,
            dead=dead,
        )

    # --- faults

    async def cut(self) -> int:
        """Close every connection of the run's user; how many.

        Raises:
            ConfigurationError: the server let us make no user, so nobody knows which connections are the run's.
        """
        if self._user is None:
            raise ConfigurationError("client-kill needs a redis user that may run ACL SETUSER and CLIENT KILL")
        with _translated():
            return int(await self._command("CLIENT", "KILL", "USER", self._user, "SKIPME", "yes"))

    async def forget(self, workers: Sequence[str]) -> int:
        """Delete the run's keys, which are known by name: no scan of a big server; how many there were."""
        names = (*_WAITING, *_LEASED, *_OTHERS)
        keys = [self._key(queue, name) for queue in self._queues for name in names]
        keys += [f"{self.prefix}:worker:{worker}:heartbeat" for worker in workers]
        with _translated():
            return int(await self._client.delete(*keys))

    async def flush_all(self) -> int:
        """Delete everything in the server; how many keys of this run there were."""
        with _translated():
            count = sum([1 async for _ in self._client.scan_iter(f"{self.prefix}:*", 1000)])
            await self._client.flushall()
            return count

    async def forget_scripts(self) -> int:
        """Make the server forget every script; how many there were."""
        with _translated():
            info: dict[str, Any] = await self._client.info("memory")
            await self._client.script_flush()
            return int(info.get("number_of_cached_scripts", 1))

    async def _command(self, *words: str) -> Any:
        command: Any = self._client.execute_command  # untyped there
        return await command(*words)

    def _key(self, queue: str, name: str) -> str:
        # Spelled out a second time on purpose: a witness that asked the core for its names would share its mistakes.
        return f"{self.prefix}:{{{queue}}}:{name}"
