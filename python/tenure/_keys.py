"""Secret keys from a file: the first encrypts or signs, all of them open what older ones sealed."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from tenure.errors import ConfigurationError, SealRefused

if TYPE_CHECKING:
    from pathlib import Path

_ID: Final = re.compile(r"[A-Za-z0-9_.\-]{1,32}")
KEY_BYTES: Final = 32
_RETIRED: Final = "retired"
_LARGEST_FILE: Final = 64 * 1024


class KeyRing:
    """The keys of one purpose by their ids.

    A line of the file is an id and 32 bytes as base64, or an id and the word `retired`; `#` begins a comment.
    Rotation: add the new key below the first line everywhere, then make it the first line everywhere, then, when
    nothing that the old one sealed can be under way any more, write `retired` in its place. No message and no repr
    shows a key.
    """

    def __init__(self, keys: dict[str, bytes | None], newest: str) -> None:
        """Keep keys by id; None stands for a retired one."""
        self._keys = keys
        self.newest: Final = newest

    def __repr__(self) -> str:
        """The ids, never the keys."""
        return f"KeyRing({', '.join(self._keys)})"

    @classmethod
    def read(cls, path: Path, field: str) -> KeyRing:
        """The keys of a file; `field` is the setting that names it.

        Raises:
            ConfigurationError: it cannot be read, or a line is none of the above; the message has the line's number.
        """
        try:
            with path.open("rb") as file:
                lines = file.read(_LARGEST_FILE).decode("ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the file that {field} names cannot be read: {path}") from error
        keys: dict[str, bytes | None] = {}
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if len(words) != 2 or not _ID.fullmatch(words[0]) or words[0] in keys:  # noqa: PLR2004 - an id and a key
                raise ConfigurationError(
                    f"{field}, line {number} must be a new id of 1 to 32 letters, digits, '_', '.' or '-', and a key"
                )
            keys[words[0]] = None if words[1] == _RETIRED else _key(words[1], f"{field}, line {number}")
        newest = next((key_id for key_id, key in keys.items() if key is not None), None)
        if newest is None:
            raise ConfigurationError(f"the file that {field} names has no key that is not retired: {path}")
        return cls(keys, newest)

    def __getitem__(self, key_id: str) -> bytes:
        """A key.

        Raises:
            SealRefused: it is retired, or unknown here.
        """
        key = self._keys.get(key_id)
        if key is None:
            why = "the key is retired" if key_id in self._keys else "the key is not known here"
            raise SealRefused(f"{why}: {key_id}")
        return key


def _key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{where} must have {KEY_BYTES} bytes as base64, or the word `retired`")
    return key
