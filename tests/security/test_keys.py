"""Key files: what is refused, and that no key is ever shown."""

from __future__ import annotations

import base64
import builtins
from dataclasses import replace

import pytest

from tenure import Settings, Tenure
from tenure._keys import KeyRing
from tenure._seal import Seal
from tenure.errors import ConfigurationError

KEY = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "one retired\n",
        "one\n",
        KEY,
        f"one {KEY} more\n",
        f"one {KEY}\none {KEY}\n",
        f"one {KEY[:-4]}\n",
        f"one {KEY}AAAA\n",
        "one not*base64\n",
        f"a/b {KEY}\n",
        f"{'x' * 33} {KEY}\n",
        f"é {KEY}\n",
    ],
)
def test_a_file_that_is_none(tmp_path, text):
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="encryption_keys") as refused:
        KeyRing.read(path, "encryption_keys")
    assert KEY[:8] not in str(refused.value)


@pytest.mark.parametrize("name", ["absent", ""])
def test_a_file_that_cannot_be_read(tmp_path, name):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        KeyRing.read(tmp_path / name, "signing_keys")


def test_no_key_is_shown(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"b {KEY}\na retired\n")
    ring = KeyRing.read(path, "signing_keys")
    assert repr(ring) == "KeyRing(b, a)"
    assert ring.newest == "b"
    settings = Settings(signing_keys=path)
    assert KEY not in repr(settings) + repr(Seal.of(settings))


async def test_a_bad_file_is_told_before_anything_is_opened(settings, tmp_path):
    with pytest.raises(ConfigurationError, match="signing_keys"):
        async with Tenure(replace(settings, signing_keys=tmp_path / "absent")):
            pass


def test_without_the_extra_encryption_is_refused_and_signing_is_not(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    path.write_text(f"b {KEY}\n")
    real = builtins.__import__

    def missing(name, *others):
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *others)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'tenure\[crypto\]'"):
        Seal.of(Settings(encryption_keys=path))
    assert Seal.of(Settings(signing_keys=path)) is not None
    assert Seal.of(Settings()) is None
