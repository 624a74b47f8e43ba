"""What the command line prints of data that strangers stored, and of errors."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from tenure.cli._app import EXIT_CODES
from tenure.cli._load import load_app
from tenure.cli._logs import set_up_logs
from tenure.cli._output import escape, print_json, print_record, print_table
from tenure.errors import (
    Backpressure,
    ConfigurationError,
    IllegalTransition,
    InvalidInput,
    JobNotFound,
    MigrationError,
    PayloadTooLarge,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# An escape sequence, the C1 form of one, DEL, a mark that turns the direction of text, and rich's markup.
HOSTILE = "\x1b[31mred\x9b2J\x7f\u202etxt [bold]plain[/bold]"


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The root logger, put back afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = before[0], before[2]
    root.setLevel(before[1])


def test_json_is_one_document_without_anything_a_terminal_acts_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Escaped, and yet the same when read back."""
    print_json({"b": [HOSTILE, "größer 😀"], "a": None})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"b": [HOSTILE, "größer 😀"], "a": None}
    assert escape(printed, keep="\n") == printed
    assert printed.index('"b"') < printed.index('"a"')


def test_a_table_shows_text_as_it_is_and_controls_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither markup nor escape sequences take effect, and nothing is folded where there is no terminal."""
    print_table("title", ("column",), [(HOSTILE,), (None,), ({"key": 1},), ("x" * 300,)])
    printed = capsys.readouterr().out
    assert r"\x1b[31mred\x9b2J\x7f\u202etxt [bold]plain[/bold]" in printed
    assert '{"key":1}' in printed
    assert "x" * 300 in printed
    assert escape(printed, keep="\n") == printed


def test_a_record_is_a_field_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the struct."""

    class Record(msgspec.Struct):
        first: str
        second: int

    print_record(Record(first="one", second=2))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if "first" in line or "second" in line] == ["first", "second"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("field", "small", 9), 2),
        (PayloadTooLarge("payload", "small", 9), 2),
        (ConfigurationError("wrong"), 2),
        (StoreUnavailable("away"), 3),
        (Backpressure("full"), 3),
        (JobNotFound("none"), 4),
        (IllegalTransition("ended"), 5),
        (MigrationError("old"), 1),
        (KeyError("a bug"), 1),
    ],
)
def test_every_error_has_an_exit_code(error: Exception, code: int) -> None:
    """The first kind that fits."""
    assert next(found for kind, found in EXIT_CODES if isinstance(error, kind)) == code


def test_without_the_extra_it_says_what_to_install() -> None:
    """One line, exit code 2."""
    hide = "import sys; sys.modules['typer'] = None; from tenure.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "the command line is an extra: pip install 'tenure[cli]'\n"


@pytest.mark.parametrize("target", ["", "module", "module:", ":app", "module:app:more", "a/b:app", "..a:app", "a:b.c"])
def test_a_target_that_is_no_module_and_attribute_is_refused(target: str) -> None:
    """Before anything is imported."""
    with pytest.raises(InvalidInput, match="app must be module:attribute"):
        load_app(target)


def test_what_is_wrong_with_a_target_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module, what it imports, its attribute, the attribute's type."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lacking_module.py").write_text("import not_there_either\n")
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('at import')\n")
    (tmp_path / "plain_module.py").write_text("app = 3\n")
    for target, said in {
        "no_such_module:app": "no module has this name, seen from .*: no_such_module",
        "plain_module.sub:app": "no module has this name, seen from .*: plain_module.sub",
        "lacking_module:app": "cannot be imported.*lacking_module.*No module named 'not_there_either'",
        "broken_module:app": "cannot be imported.*broken_module: RuntimeError: at import",
        "plain_module:other": "no attribute of this name: plain_module:other",
        "plain_module:app": "must be a Tenure, not int: plain_module:app",
    }.items():
        with pytest.raises(ConfigurationError, match=said):
            load_app(target)


def test_a_log_message_cannot_forge_a_line(own_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Time, level, process, logger and message on one line."""
    set_up_logs("info", "text")
    logging.getLogger("tenure.test").info("first\nsecond \x1b[2J")
    logging.getLogger("tenure.test").debug("not shown")
    [line] = capsys.readouterr().err.splitlines()
    _, level, process, name, message = line.split(maxsplit=4)
    assert (level, process.isdigit(), name, message) == ("INFO", True, "tenure.test", r"first\nsecond \x1b[2J")


def test_a_json_log_is_an_object_a_line(own_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The exception is part of it."""
    set_up_logs("INFO", "json")
    try:
        int(HOSTILE)
    except ValueError:
        logging.getLogger("tenure.test").exception("broke")
    [line] = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["level"], event["logger"], event["message"]) == ("error", "tenure.test", "broke")
    assert "ValueError" in event["exception"]


@pytest.mark.parametrize(("level", "log_format"), [("loud", "text"), ("info", "xml")])
def test_an_unknown_level_or_format_is_refused(own_logging: None, level: str, log_format: str) -> None:
    """Naming the option."""
    with pytest.raises(InvalidInput, match="log_"):
        set_up_logs(level, log_format)
