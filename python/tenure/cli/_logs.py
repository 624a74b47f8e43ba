"""The format of a worker's log: one line per event."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Final

import msgspec

from tenure import _validate
from tenure.cli._output import escape

_LEVELS: Final = ("debug", "info", "warning", "error")
_FORMATS: Final = ("text", "json")


def set_up_logs(level: str, log_format: str) -> None:
    """Log to stderr from `level` on."""
    _validate.choice("log_level", level.lower(), _LEVELS)
    _validate.choice("log_format", log_format, _FORMATS)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format == "json" else _Lines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # A closed or full sink must not stop the work.
    logging.raiseExceptions = False


def _when(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class _Lines(logging.Formatter):
    """`time level process logger message`; what is not printable is escaped, so that no message can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        message = escape(record.getMessage())
        line = f"{_when(record)} {record.levelname:<7} {record.process} {record.name} {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(event).decode()
