"""What the shipped Redis users must not do: every user against every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from tests.security.conftest import DEPLOY, redis_client

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYBODY = ("producer", "worker", "operator", "metrics")
# `{p}` is the prefix, `{q}` a queue's part of the key space.
NOBODYS = (
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "DBSIZE",
    "CONFIG GET requirepass",
    "CONFIG SET maxmemory-policy allkeys-lru",
    "DEBUG SLEEP 0",
    "SHUTDOWN NOSAVE",
    "SAVE",
    "REPLICAOF NO ONE",
    "MONITOR",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "ACL LIST",
    "ACL SETUSER {p}-producer allcommands",
    "EVAL return{{}} 0",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "FUNCTION LOAD x",
    "FUNCTION FLUSH",
    "FUNCTION DUMP",
    "FCALL x 0",
    "MODULE LIST",
    "SLOWLOG GET",
    "RENAME {q}:jobs {q}:mine",
    "DUMP {q}:jobs",
    "COPY {q}:jobs {q}:mine",
    "HGETALL {q}:jobs",
    "HSCAN {q}:jobs 0",
    "DEL {q}:generation",
    "SORT {q}:jobs",
    "EXPIRE {q}:jobs 1",
    "DEL {q}:jobs",
    "LPUSH {q}:jobs a",
    "LTRIM {q}:jobs 0 1",
    "ZREMRANGEBYSCORE {q}:processing-queue 0 1",
    "PSUBSCRIBE *",
    "EXISTS other",
    "EXISTS {p}x:{{q}}:jobs",
    "SUBSCRIBE other",
)
# and what some may: everybody else may not
FEW: dict[str, tuple[str, ...]] = {
    "HMGET {q}:jobs a": ("worker",),
    "HGET {q}:jobs a": ("worker",),
    "ZPOPMIN {q}:high-priority-queue": ("worker",),
    "ZRANGE {q}:processing-queue 0 -1": ("worker",),
    "ZRANGEBYSCORE {q}:processing-queue 0 1": ("worker",),
    "SREM {q}:cancelled a": ("worker",),
    "DEL {p}:worker:w:heartbeat": ("worker",),
    "SET {p}:worker:w:heartbeat x": ("worker",),
    "GET {p}:worker:w:heartbeat": ("worker", "operator", "metrics"),
    "LPUSH {p}:worker:w:samples x": ("worker",),
    "LRANGE {p}:worker:w:samples 0 -1": ("worker", "operator", "metrics"),
    "SET {p}:fleet:leader:registry a": ("worker",),
    "ZADD {p}:fleet:roster 1 a": ("worker",),
    "ZRANGE {p}:fleet:roster 0 -1": ("worker", "operator", "metrics"),
    "HDEL {q}:jobs a": ("producer", "worker", "operator"),
    # a queue is forgotten where it is to be built again under another policy
    "UNLINK {q}:jobs": ("worker", "operator"),
    "HGETALL {q}:lane-policy": EVERYBODY,
    "ZSCORE {q}:processing-queue a": ("producer", "worker", "operator"),
    "DEL {q}:lane-policy": ("producer", "worker", "operator"),
    "HSCAN {q}:lane-used 0": ("worker", "operator", "metrics"),
    "ZRANGE {q}:lane-queue 0 -1": EVERYBODY,
    "SADD {q}:cancelled a": ("worker", "operator"),
    "ZREM {q}:high-priority-queue a": ("producer", "worker", "operator"),
    "HSET {q}:jobs a b": ("producer", "worker", "operator"),
    "ZADD {q}:high-priority-queue 1 a": ("producer", "worker", "operator"),
    "SET {q}:duty a": ("producer", "worker", "operator"),
    "PUBLISH {q}:settled a": ("producer", "worker", "operator"),
    "PUBLISH {p}:worker:w:control a": ("worker", "operator"),
    "PUBLISH {p}:worker:w:inbox a": ("producer", "worker", "operator"),
    "SCRIPT LOAD return{{}}": EVERYBODY,
    "ZCARD {q}:high-priority-queue": EVERYBODY,
    "HLEN {q}:jobs": EVERYBODY,
}


@pytest.fixture
def ask(redis_users, prefix) -> Callable[[str, str], object]:
    """Sends a command as a user; the answer, or the error."""

    def send(user: str, command: str) -> object:
        with redis_client(redis_users[user]) as client:
            try:
                return client.execute_command(*command.format(p=prefix, q=f"{prefix}:{{default}}").split(" "))
            except redis.ResponseError as error:
                return error

    return send


def refused(answer: object) -> bool:
    # DEBUG is switched off for everybody before anybody's permissions are looked at.
    return isinstance(answer, redis.exceptions.NoPermissionError) or "DEBUG command not allowed" in str(answer)


def test_what_nobody_may(ask):
    """One server for the whole table: a refusal leaves nothing behind."""
    allowed = [(user, command) for user in EVERYBODY for command in NOBODYS if not refused(ask(user, command))]
    assert allowed == []


def test_what_some_may_and_others_not(ask):
    may = {command: tuple(user for user in EVERYBODY if not refused(ask(user, command))) for command in FEW}
    assert may == FEW


def test_a_script_may_do_no_more_than_its_user(ask):
    """Redis forgets scripts when it restarts, so whoever runs them may load them. It gains nothing by it."""
    source = "return#redis.call('HGETALL',KEYS[1])"
    sha = ask("producer", f"SCRIPT LOAD {source}").decode()
    answer = ask("producer", f"EVALSHA {sha} 1 {{q}}:jobs")
    assert "can't run this command" in str(answer) or "ACL failure" in str(answer)
    assert refused(ask("producer", f"EVALSHA {sha} 1 other"))


def test_the_file_as_shipped_lets_nobody_in(private_valkey):
    """No password stands in it, and nobody is on before somebody chose one."""
    server = private_valkey("--aclfile", str(DEPLOY / "users.acl"))
    for user in ("default", "gap006-admin", "gap006-producer", "gap006-worker", "gap006-operator", "gap006-metrics"):
        for password in ("", "gap006", user):
            with (
                redis.Redis.from_url(server.url, username=user, password=password) as client,
                pytest.raises(redis.AuthenticationError),
            ):
                client.ping()
