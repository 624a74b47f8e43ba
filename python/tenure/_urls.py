"""The stores' URLs: refusing what cannot be one, finding what is in one, and showing one without its secrets."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from tenure.errors import InvalidInput

HIDDEN: Final = "(hidden)"
_MOST_PORT: Final = 65_535
_SECURE_SCHEMES: Final = ("rediss", "valkeys")
_PASSWORD_PARAMETERS: Final = ("password", "pass", "passwd")


def redact(url: str | None) -> str | None:
    """A URL without its user, password and parameters, and without what may be part of a badly quoted password."""
    if url is None:
        return None
    scheme, mark, rest = url.partition("://")
    if not mark:
        return "***"
    if "@" in rest:
        # The last one: a password may hold /, ? and # that somebody forgot to quote.
        rest = "***@" + rest.rpartition("@")[2]
    shown = re.split(r"[?#]", rest, maxsplit=1)[0]
    if not _ports_are_numbers(shown.partition("/")[0].rpartition("@")[2]):
        shown = "***"
    return f"{scheme}://{shown}"


def check_url(field: str, url: object, schemes: tuple[str, ...]) -> None:
    """Refuse what is not None and not a URL of these schemes; the value is never shown.

    Raises:
        InvalidInput: with the value hidden: it may hold a password wherever it was mistyped.
    """
    if url is None:
        return
    parts = _split(url)
    if parts is None or parts.scheme not in schemes:
        raise InvalidInput(field, f"a {schemes[0]}:// URL", HIDDEN)
    if "@" in parts.path or parts.netloc.count("@") > 1 or not _ports_are_numbers(parts.netloc.rpartition("@")[2]):
        raise InvalidInput(field, "a URL whose password is percent-encoded and whose port is a number", HIDDEN)


def hosts(url: str) -> list[str]:
    """Every host of a checked URL, without ports; a Unix socket's directory begins with /; none means the default."""
    parts = urlsplit(url)
    named = parts.netloc.rpartition("@")[2]
    given = named.split(",") if named else [part for text in _parameters(parts, ("host",)) for part in text.split(",")]
    return [host if host.startswith("/") else _host(host) for host in map(unquote, given) if host]


def is_local(url: str) -> bool:
    """Whether every server that the URL names is on this machine."""
    return "unix" in urlsplit(url).scheme or all(map(_is_loopback, hosts(url)))


def demands_tls(url: str) -> bool:
    """Whether a checked URL allows no connection but one to a server whose certificate and host name were checked."""
    parts = urlsplit(url)
    return parts.scheme in _SECURE_SCHEMES or _parameters(parts, ("sslmode",)) == ["verify-full"]


def password(url: str) -> str | None:
    """The password in a checked URL; None where it has none."""
    parts = urlsplit(url)
    if parts.password is not None:
        return unquote(parts.password)
    return next(iter(_parameters(parts, _PASSWORD_PARAMETERS)), None)


def _split(url: object) -> SplitResult | None:
    if not isinstance(url, str) or "://" not in url or url != url.strip() or re.search(r"[\x00-\x1f\x7f]", url):
        return None
    try:
        return urlsplit(url)
    except ValueError:  # its text may repeat the URL
        return None


def _parameters(parts: SplitResult, names: tuple[str, ...]) -> list[str]:
    found = parse_qs(parts.query, keep_blank_values=True)
    return [text for name in names for text in found.get(name, ())]


def _host(text: str) -> str:
    """`host`, `host:port`, `[::1]` or `[::1]:port` without its port."""
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


def _ports_are_numbers(places: str) -> bool:
    for place in places.split(","):
        after = place.rpartition("]")[2] if "]" in place else place
        port = after.partition(":")[2]
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= _MOST_PORT):
            return False
    return True


def _is_loopback(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
