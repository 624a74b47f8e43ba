"""The Lua files themselves, called on a real server under a clock that the test moves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import redis
    from redis.client import PubSub

_LUA: Final = Path(__file__).parents[2] / "rust/core/lua"
_CLOCK: Final = """local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)"""
_FINE_CLOCK: Final = """local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]"""
_LANE_ZSETS: Final = ("queue", "heads", "turns", "parked", "resume", "rates", "idle")
_LANE_HASHES: Final = ("entries", "tenants", "used", "holds", "policy", "classes", "means")
KEYS: Final = (
    *("generation", "high", "medium", "low", "scheduled", "processing", "rescue"),
    *("jobs", "idle", "cancelled", "dead"),
    *(f"lane-{name}" for name in (*_LANE_ZSETS, *_LANE_HASHES)),
)
_CALLS: Final = (_LUA.parent / "src/script.rs").read_text()


def _parts(verb: str) -> list[str]:
    """What a script shares with others, in order, as the core puts it together."""
    call = re.search(
        rf'"{verb}",\s*(?:\[[^\]]*\]|WITH_LANES|lane_keys!\([^)]*\))(, with lanes)?((?:,\s*"\w+")*)', _CALLS
    )
    assert call, verb
    shared = re.search(r"\$keys((?:,\s*\"\w+\")+) \$\(, \$more\)\*", _CALLS)
    assert shared
    return ["queue", *re.findall(r"\w+", (shared[1] if call[1] else "") + call[2])]


def _plain(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_plain(one) for one in reply]
    return reply.decode() if isinstance(reply, bytes) else reply


class Queue:
    """One queue's keys, and the scripts that change them."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        """Empty, and not built."""
        self._client = client
        self._prefix = prefix
        self._scripts: dict[str, tuple[Any, list[str]]] = {}
        client.delete(*(self.key(name) for name in KEYS))

    def key(self, name: str) -> str:
        """What a key is called does not matter to a script."""
        return f"{self._prefix}:{{q}}:{name}"

    @property
    def inbox(self) -> str:
        """What stands before a worker in its inbox."""
        return f"{self._prefix}:inbox:"

    def woken(self, inbox: PubSub) -> list[str]:
        """Who was woken since this was asked last: what the inboxes heard before a last word of one's own."""
        self._client.publish(f"{self.inbox}nobody:inbox", "")
        names: list[str] = []
        while (message := inbox.get_message(timeout=5)) is not None:
            name = message["channel"].decode().split(":")[-2]
            if name == "nobody":
                return names
            names.append(name)
        raise AssertionError("the inbox is not heard")

    def tell_time(self, now_ms: int) -> None:
        """Set the clock."""
        self._client.set(self.key("clock"), now_ms)

    def call(self, verb: str, *arguments: object) -> list[Any]:
        """A script's reply, bytes as text; its keys are those of its header."""
        if verb not in self._scripts:
            text = (_LUA / f"{verb}.lua").read_text()
            header = re.search(r"^-- KEYS: (.*)$", text, re.MULTILINE)
            assert header
            keys = header[1].split(", ")
            source = "".join((*((_LUA / "include" / f"{name}.lua").read_text() for name in _parts(verb)), text))
            assert _CLOCK in source, "the clock of the scripts has changed"
            clock = f"return tonumber(redis.call('GET', '{self.key('clock')}'))"
            source = source.replace(_CLOCK, clock).replace(_FINE_CLOCK, f"{clock} * 1000")
            assert "'TIME'" not in source, "the clock of the lanes has changed"
            self._scripts[verb] = self._client.register_script(source), keys
        script, keys = self._scripts[verb]
        return _plain(script([self.key(name) for name in keys], arguments))

    def forget_everything(self) -> None:
        """FLUSHALL, for this queue."""
        self._client.delete(*(self.key(name) for name in KEYS))

    def lanes(self) -> dict[str, Any]:
        """What the keys of lanes hold that are there, and the mode of the queue."""
        pipe = self._client.pipeline(transaction=False).get(self.key("generation"))
        for name in _LANE_ZSETS:
            pipe.zrange(self.key(f"lane-{name}"), 0, -1, withscores=True)
        for name in _LANE_HASHES:
            pipe.hgetall(self.key(f"lane-{name}"))
        generation, *replies = pipe.execute()
        found: dict[str, Any] = {"generation": generation}
        for name, members in zip(_LANE_ZSETS, replies, strict=False):
            found[name] = {member.decode(): int(score) for member, score in members}
        for name, fields in zip(_LANE_HASHES, replies[len(_LANE_ZSETS) :], strict=True):
            found[name] = {field.decode(): value.decode() for field, value in fields.items()}
        return {name: value for name, value in found.items() if value}

    def contents(self) -> dict[str, Any]:
        """What every key holds."""
        pipe = self._client.pipeline(transaction=False)
        sets = ("high", "medium", "low", "scheduled", "processing", "rescue", "idle", "dead")
        for name in sets:
            pipe.zrange(self.key(name), 0, -1, withscores=True)
        pipe.hgetall(self.key("jobs")).smembers(self.key("cancelled")).exists(self.key("generation"))
        *scored, jobs, cancelled, generation = pipe.execute()
        found: dict[str, Any] = {
            name: {member.decode(): int(score) for member, score in members}
            for name, members in zip(sets, scored, strict=True)
        }
        found["jobs"] = {job_id.decode(): text.decode() for job_id, text in jobs.items()}
        return found | {"cancelled": {member.decode() for member in cancelled}, "generation": generation == 1}
