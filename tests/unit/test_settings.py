"""Settings: every value is checked, and no message or repr shows a secret."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from tenure import Settings
from tenure._environment import variables_of
from tenure._urls import hosts, is_local, password, redact
from tenure.errors import ConfigurationError, InvalidInput

CANARY = "c4n4ry"


def test_defaults_are_the_documented_ones():
    settings = Settings.from_env({})
    text = re.sub(r"\s+", " ", Settings.__doc__ or "")
    for field in fields(Settings):
        documented = re.search(rf"\b{field.name}: [^:]*(?:`[^`]*`[^:]*)*?Defaults to ([^:]+?)\.(?: |$)", text)
        assert documented, f"not documented: {field.name}"
        value = getattr(settings, field.name)
        said = documented[1]
        if field.name == "data_dir":
            assert value is None
        elif said.endswith(" MiB"):
            assert value == int(said.removesuffix(" MiB")) * 1024 * 1024
        else:
            assert str(value) == said.strip('"') or value == pytest.approx(float(said))


def test_the_environment_is_read():
    settings = Settings.from_env(
        {
            "TENURE_POSTGRES_URL": "postgresql://a:b@db.example:5433/jobs",
            "TENURE_REDIS_URL": "rediss://:b@cache.example:6380/1",
            "TENURE_SCHEMA": "mine",
            "TENURE_LEASE_SECONDS": "12.5",
            "TENURE_HEARTBEAT_SECONDS": "0.2",
            "TENURE_POISON_AFTER": "7",
            "TENURE_ALLOW_WEAK_DURABILITY": "Yes",
            "TENURE_DATA_DIR": "/srv/a b",
            "TENURE_PREFIX": "",
            "TENURE_TEST_POSTGRES_URL": "of the tests, not of the settings",
            "HOME": "/nowhere",
        },
        grace_seconds=1.5,
    )
    assert settings.postgres_url == "postgresql://a:b@db.example:5433/jobs"
    assert settings.redis_url == "rediss://:b@cache.example:6380/1"
    assert settings.schema == "mine"
    assert settings.prefix == "gap006", "an empty variable is none"
    assert (settings.lease_seconds, settings.heartbeat_seconds, settings.grace_seconds) == (12.5, 0.2, 1.5)
    assert settings.poison_after == 7
    assert settings.allow_weak_durability is True
    assert settings.data_dir == Path("/srv/a b")


def test_an_override_comes_before_the_environment():
    assert Settings.from_env({"TENURE_SCHEMA": "one"}, schema="two").schema == "two"


def test_settings_are_frozen_and_keyword_only():
    with pytest.raises(FrozenInstanceError):
        Settings().schema = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Settings("postgresql://h/d")  # type: ignore[misc]


def test_an_unknown_variable_names_its_nearest_match():
    with pytest.raises(ConfigurationError, match="did you mean TENURE_POSTGRES_URL: TENURE_POSTGERS_URL") as caught:
        Settings.from_env({"TENURE_POSTGERS_URL": f"postgresql://u:{CANARY}@h/d"})
    assert CANARY not in str(caught.value)


def test_an_unknown_override_is_refused():
    with pytest.raises(InvalidInput, match="overrides must be fields of Settings"):
        Settings.from_env({}, postgres="postgresql://h/d")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", "Upper"),
        ("schema", "a-b"),
        ("schema", "x;drop"),
        ("schema", ""),
        ("schema", None),
        ("prefix", "a:b"),
        ("prefix", "a*"),
        ("prefix", ""),
        ("lease_seconds", 0.99),
        ("lease_seconds", float("nan")),
        ("lease_seconds", float("inf")),
        ("lease_seconds", "30"),
        ("lease_seconds", True),
        ("heartbeat_seconds", 0.0),
        ("heartbeat_seconds", 16),
        ("heartbeat_seconds", -1),
        ("heartbeat_ttl_seconds", 20.0),
        ("rescue_seconds", 0),
        ("grace_seconds", -0.1),
        ("poison_after", 0),
        ("poison_after", 2.5),
        ("dead_letter_days", 0),
        ("max_payload_bytes", 0),
        ("max_result_bytes", 1 << 40),
        ("postgres_connections", 1),
        ("statement_cache", -1),
        ("data_dir", "a\x00b"),
        ("data_dir", ""),
        ("allow_weak_durability", "no"),
        ("postgres_url", ""),
        ("postgres_url", "mysql://h/d"),
        ("redis_url", "http://h"),
        ("redis_url", "localhost:6379"),
    ],
)
def test_a_bad_value_names_the_field_and_the_limit(field, value):
    with pytest.raises(InvalidInput) as caught:
        Settings(**{field: value})
    assert caught.value.field == field
    assert str(caught.value) == f"{field} must be {caught.value.limit}: {caught.value.value}"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TENURE_LEASE_SECONDS", "soon"),
        ("TENURE_LEASE_SECONDS", "nan"),
        ("TENURE_POISON_AFTER", "3.0"),
        ("TENURE_ALLOW_WEAK_DURABILITY", "perhaps"),
    ],
)
def test_a_bad_text_in_the_environment_is_refused(variable, text):
    with pytest.raises(InvalidInput) as caught:
        Settings.from_env({variable: text})
    assert caught.value.field.upper().endswith(variable.removeprefix("TENURE_"))
    assert text in str(caught.value)


def test_short_leases_are_allowed():
    settings = Settings(lease_seconds=1.0, heartbeat_seconds=0.2, heartbeat_ttl_seconds=0.5)
    assert settings.heartbeat_seconds == 0.2


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{CANARY}@h/d",
        f"postgresql://u:{CANARY}/more@h/d",
        f"postgresql://u:{CANARY}?more@h:x/d",
        f"postgresql://u:a@{CANARY}@h/d",
        f"postgresql://u:{CANARY}@[h/d",
        f"postgresql://u:{CANARY}@h:port/d",
        f"postgresql://u:{CANARY}@h:99999/d",
        f"postgresql://u:{CANARY}\n@h/d",
        f" postgresql://u:{CANARY}@h/d",
        f"postgresql://u:{CANARY}\u2100@h/d",
        f"u:{CANARY}@h/d",
        CANARY,
    ],
)
@pytest.mark.parametrize("field", ["postgres_url", "redis_url"])
def test_a_refused_url_is_never_shown(field, url):
    url = url.replace("postgresql", "redis") if field == "redis_url" else url
    with pytest.raises(InvalidInput) as caught:
        Settings(**{field: url})
    assert caught.value.field == field
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value)


@pytest.mark.parametrize("field", ["schema", "prefix", "data_dir", "lease_seconds", "poison_after"])
def test_a_url_in_the_wrong_variable_is_never_shown(field):
    with pytest.raises(InvalidInput) as caught:
        Settings.from_env({f"TENURE_{field.upper()}": f"postgresql://u:{CANARY}@h/d"})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, None),
        ("postgresql://host/db", "postgresql://host/db"),
        (f"postgresql://user:{CANARY}@host:5432/db?sslmode=require", "postgresql://***@host:5432/db"),
        (f"postgresql://user@/db?host=/run&password={CANARY}", "postgresql://***@/db"),
        (f"redis://:{CANARY}@host:6379/0", "redis://***@host:6379/0"),
        (f"redis://:{CANARY}", "redis://***"),
        (f"redis://:{CANARY}/x@host/0", "redis://***@host/0"),
        (f"redis://:a?{CANARY}#x@host/0", "redis://***@host/0"),
        (f"redis://:a@{CANARY}@host/0", "redis://***@host/0"),
        (f"redis+unix:///run/s.sock?db=1&pass={CANARY}", "redis+unix:///run/s.sock"),
        (CANARY, "***"),
    ],
)
def test_redact(url, shown):
    assert redact(url) == shown


def test_repr_shows_no_secret():
    settings = Settings(postgres_url=f"postgresql://u:{CANARY}@h/d", redis_url=f"redis://:{CANARY}@h/0")
    for text in (repr(settings), str(settings), f"{settings}"):
        assert CANARY not in text
        assert "postgresql://***@h/d" in text


@pytest.mark.parametrize(
    ("url", "found", "local", "secret"),
    [
        ("postgresql://u:p@h1:5432,h2/d", ["h1", "h2"], False, "p"),
        ("postgresql://u:p%40x@127.0.0.1/d", ["127.0.0.1"], True, "p@x"),
        ("postgresql://u@/d?host=/var/run", ["/var/run"], True, None),
        ("postgresql://u@/d?host=db.example&password=p", ["db.example"], False, "p"),
        ("postgresql://u@%2Fvar%2Frun/d", ["/var/run"], True, None),
        ("postgresql:///d", [], True, None),
        ("postgresql://localhost,db.example/d", ["localhost", "db.example"], False, None),
        ("redis://:p@[::1]:6379/0", ["::1"], True, "p"),
        ("redis://:@[2001:db8::1]:6379/0", ["2001:db8::1"], False, ""),
        ("redis://127.8.8.8", ["127.8.8.8"], True, None),
        ("redis://127.0.0.1.example", ["127.0.0.1.example"], False, None),
        ("redis+unix:///run/s?pass=p", [], True, "p"),
    ],
)
def test_what_is_in_a_url(url, found, local, secret):
    assert hosts(url) == found
    assert is_local(url) is local
    assert password(url) == secret


def test_the_data_directory_is_the_same_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert Settings(data_dir=Path("link")).data_path == (tmp_path / "real").resolve()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings(data_dir=Path("~/x")).data_path == tmp_path.resolve() / "x"


@pytest.mark.skipif(sys.platform == "darwin", reason="XDG is not for macOS")
def test_the_default_data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Settings().data_path == tmp_path.resolve() / "tenure"
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Settings().data_path == Path("/home/somebody/.local/share/tenure")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Settings().data_path == Path("/var/lib/tenure")


def test_another_process_has_the_same_settings():
    keys = Path("keys")
    given = Settings(postgres_url="postgresql://a", redis_url="redis://a", lease_seconds=25.5, signing_keys=keys)
    inherited = {"TENURE_DATA_DIR": "/elsewhere", "TENURE_GRACE_SECONDS": "1"}
    assert Settings.from_env(inherited | variables_of(given)) == given
    assert Settings.from_env(inherited | variables_of(Settings(accept_unsealed=True))) == Settings(accept_unsealed=True)
