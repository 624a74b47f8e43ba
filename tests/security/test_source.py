"""Rules that the source keeps for safety's sake; `tests/unit/test_architecture.py` has those of the house."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "python" / "tenure").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_shell_and_no_guessable_secret(path):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert "create_subprocess_shell" not in called
        assert not any(word.arg == "shell" for word in node.keywords), f"a shell: {called}"
        assert called not in {"tempfile.mktemp", "hashlib.md5", "hashlib.sha1", "ssl._create_unverified_context"}


def test_signatures_are_compared_in_constant_time():
    """What a MAC is compared with is never found by how long the comparison takes."""
    source = (ROOT / "python" / "tenure" / "_seal.py").read_text()
    compared = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and re.search(r"\bmac\b|_mac\(", ast.unparse(node))
    ]
    assert compared == []
    assert source.count("hmac.compare_digest(") == 1


def test_certificates_cannot_be_ignored_in_the_core():
    manifest = (ROOT / "Cargo.toml").read_text()
    assert "tls-rustls-insecure" not in manifest
    for path in (ROOT / "rust").rglob("*.rs"):
        assert "dangerous()" not in path.read_text()


@pytest.mark.parametrize("name", ["roles.sql", "users.acl", "compose.yaml"])
def test_no_password_is_shipped(name):
    text = (ROOT / "deploy" / name).read_text()
    assert not re.search(r"(?i)password\s+'[^…]", text)
    if name == "users.acl":
        assert not re.search(r"[>#<]\S", text)
        assert "nopass" not in text


def test_the_tests_that_the_page_names_are_there():
    text = (ROOT / "docs" / "security.md").read_text()
    for place, name in re.findall(r"`((?:security|unit|integration)/)?(test_[\w*]+\.py)`", text):
        assert list((ROOT / "tests" / (place or "security")).glob(name)), name
