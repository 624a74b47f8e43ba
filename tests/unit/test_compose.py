"""The servers of `deploy/compose.yaml` are those that tenure accepts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import redis
import yaml

from tests.servers import VALKEY, wait_until

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose.yaml"


@pytest.fixture
def services() -> dict:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_images_ports_and_network_are_those_asked_for():
    compose = yaml.safe_load(COMPOSE.read_text())
    assert compose["services"]["postgres"]["image"].startswith("postgres:16")
    assert compose["services"]["redis"]["image"].startswith("redis:7")
    assert compose["services"]["redis"]["container_name"] == "openspg-redis"
    assert compose["services"]["redis"]["ports"] == ["127.0.0.1:6380:6379"]
    assert compose["networks"] == {
        "openspg-network": {"name": "${NETWORK_NAME:-openspg-network}", "external": "${NETWORK_EXTERNAL:-false}"}
    }
    assert all(service["healthcheck"] for service in compose["services"].values())


def test_passwords_come_from_the_environment_alone(services):
    for service, variable in (("postgres", "POSTGRES_PASSWORD"), ("redis", "REDISCLI_AUTH")):
        assert re.fullmatch(r"\$\{\w+:\?[\w ]+\}", services[service]["environment"][variable])
    text = COMPOSE.read_text()
    assert "redis@openspg" not in text
    assert not re.search(r"(?i)password[\"': =]+[a-z0-9@]{3,}\s*$", text, re.MULTILINE)


def test_every_port_is_on_loopback(services):
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])


@pytest.mark.parametrize("word", ["pass phrase", """a"b\\c'd$e`f#g"""], ids=["plain", "odd"])
def test_the_redis_configuration_starts_a_server_that_asks_for_its_password(services, tmp_path, word):
    script = services["redis"]["command"][2].replace("$$", "$")
    assert word not in str(services["redis"]["command"])
    socket = tmp_path / "s"
    # The image's entry point only changes the user.
    script = script.replace("docker-entrypoint.sh redis-server", VALKEY)
    script = script.replace("dir /data", f"dir {tmp_path}\nport 0\nunixsocket {socket}")
    server = subprocess.Popen(
        ["sh", "-c", script], env={**os.environ, "REDISCLI_AUTH": word}, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(socket.exists, "the server listens")
        with redis.Redis(unix_socket_path=str(socket)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(unix_socket_path=str(socket), password=word) as client:
            wanted = {
                "maxmemory-policy": "noeviction",
                "maxmemory": str(2 * 1024**3),
                "appendonly": "yes",
                "appendfsync": "everysec",
                "save": "900 1 300 10 60 10000",
            }
            assert {name: client.config_get(name)[name] for name in wanted} == wanted
    finally:
        server.terminate()
        server.wait()
