"""What the servers are asked for, decided from plain data."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from tenure import Settings
from tenure._checks import KNOWN_DEFAULTS, check_redis, check_urls, given_urls, postgres_findings, redis_findings
from tenure.errors import ConfigurationError


def redis_server(**changes):
    good = {
        "product": "redis",
        "version": "7.2.4",
        "maxmemory_policy": "noeviction",
        "maxmemory": 0,
        "password_set": True,
        "loopback": False,
        "appendonly": True,
        "round_trip_ms": 0.2,
        "time_ms": round(time.time() * 1000),
    }
    return SimpleNamespace(**{**good, **changes})


def postgres_row(**changes):
    good = {
        "version_num": 160004,
        "version": "16.4",
        "synchronous_commit": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "max_connections": 100,
        "connections": 8,
        "time_ms": round(time.time() * 1000),
        "migrated": True,
    }
    return {**good, **changes}


def odd(findings):
    """What is not ok, and that nothing ok gives advice."""
    assert all(bool(one.advice) == (one.level != "ok") for one in findings)
    return {one.name: one.level for one in findings if one.level != "ok"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"version": "7.0.0"}, {}),
        ({"version": "8.0-rc1"}, {}),
        ({"version": "6.2.14"}, {"redis version": "fail"}),
        ({"product": "valkey", "version": "8.0.1"}, {}),
        ({"product": "valkey", "version": "9.1.2"}, {}),
        ({"product": "valkey", "version": "7.2.9"}, {"redis version": "fail"}),
        ({"version": "unknown"}, {"redis version": "warn"}),
        ({"maxmemory_policy": "allkeys-lru"}, {"redis maxmemory-policy": "fail"}),
        ({"maxmemory_policy": "volatile-ttl"}, {"redis maxmemory-policy": "fail"}),
        ({"maxmemory_policy": "unknown"}, {"redis maxmemory-policy": "warn"}),
        ({"password_set": False}, {"redis password": "fail"}),
        ({"password_set": False, "loopback": True}, {}),
        ({"appendonly": False}, {"redis append-only file": "warn"}),
        ({"time_ms": round(time.time() * 1000) + 86_400_000}, {"redis clock": "warn"}),
        ({"time_ms": round(time.time() * 1000) - 86_400_000}, {"redis clock": "warn"}),
    ],
)
def test_redis(changes, found):
    assert odd(redis_findings(redis_server(**changes))) == found


@pytest.mark.parametrize(
    ("changes", "allowed", "found"),
    [
        ({}, False, {}),
        ({"version_num": 150000}, False, {}),
        ({"version_num": 180006}, False, {}),
        ({"version_num": 140012}, False, {"postgresql version": "fail"}),
        ({"version_num": 190000}, False, {"postgresql version": "warn"}),
        ({"synchronous_commit": "local"}, False, {}),
        ({"synchronous_commit": "remote_apply"}, False, {}),
        ({"synchronous_commit": "off"}, False, {"postgresql durability": "fail"}),
        ({"synchronous_commit": "off"}, True, {"postgresql durability": "warn"}),
        ({"fsync": "off"}, False, {"postgresql durability": "fail"}),
        ({"full_page_writes": "off"}, False, {"postgresql durability": "fail"}),
        ({"connections": 91}, False, {"postgresql connections": "warn"}),
        ({"time_ms": 0}, False, {"postgresql clock": "warn"}),
    ],
)
def test_postgres(changes, allowed, found):
    settings = Settings(allow_weak_durability=allowed)
    assert odd(postgres_findings(postgres_row(**changes), settings)) == found


def test_a_refusal_says_what_to_do_and_what_is():
    with pytest.raises(
        ConfigurationError, match=r"redis maxmemory-policy is refused, set maxmemory-policy noeviction.*: allkeys-lru"
    ):
        check_redis(redis_server(maxmemory_policy="allkeys-lru"))


def test_a_warning_does_not_refuse():
    check_redis(redis_server(maxmemory_policy="unknown", appendonly=False))


@pytest.mark.parametrize("secret", [*sorted(KNOWN_DEFAULTS), "PassWord", "redis%40openspg"])
@pytest.mark.parametrize("url", ["postgresql://u:{}@db.example/d", "redis://:{}@10.0.0.7:6379/0"])
def test_a_known_default_is_refused_elsewhere(url, secret):
    field = "redis_url" if url.startswith("redis") else "postgres_url"
    settings = Settings(**{field: url.format(secret.replace("@", "%40"))})
    with pytest.raises(ConfigurationError, match=f"the password in {field} is a known default"):
        check_urls(settings)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:postgres@localhost,db.example/d",
        "postgresql://u:postgres@/d?host=db.example",
        "postgresql://u@db.example/d?password=postgres",
        "postgresql://u:postgres@127.0.0.1.example/d",
    ],
)
def test_a_known_default_is_found_wherever_it_stands(url):
    with pytest.raises(ConfigurationError, match="is a known default"):
        check_urls(Settings(postgres_url=url))


def test_an_empty_password_is_refused_elsewhere():
    with pytest.raises(ConfigurationError, match="the password in redis_url is empty"):
        check_urls(Settings(redis_url="redis://:@10.0.0.7:6379/0"))


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(postgres_url="postgresql://u:postgres@localhost/d", redis_url="redis://:redis@127.0.0.1/0"),
        Settings(postgres_url="postgresql://u:postgres@/d?host=/run", redis_url="redis+unix:///run/s?pass=redis"),
        Settings(postgres_url="postgresql://u@db.example/d", redis_url="rediss://:a-good-one@cache.example/0"),
    ],
)
def test_other_passwords_pass(settings):
    check_urls(settings)


@pytest.mark.parametrize("given", [{"postgres_url": "postgresql://h/d"}, {"redis_url": "redis://h"}])
def test_one_real_store_beside_an_embedded_one_is_refused(given):
    with pytest.raises(ConfigurationError, match="or neither"):
        given_urls(Settings(**given))


def test_embedded_stores_are_wanted_where_none_is_given():
    assert given_urls(Settings()) is None
    given = given_urls(Settings(postgres_url="postgresql://h/d", redis_url="redis://h"))
    assert given == ("postgresql://h/d", "redis://h")
