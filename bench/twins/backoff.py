"""The delay before a retry: the twin of `backoff_ms`."""

from __future__ import annotations

import random


def backoff_ms(
    attempt: int, base_ms: int = 1000, factor: float = 2.0, cap_ms: int = 60_000, jitter: str = "full"
) -> int:
    """`min(base * factor ** attempt + jitter, cap)`, in whole milliseconds."""
    if base_ms < 1 or cap_ms < 1 or not 1.0 <= factor <= 100.0:
        raise ValueError(f"no delay comes of these: {base_ms}, {factor}, {cap_ms}")
    try:
        whole = min(base_ms * factor**attempt, float(cap_ms))
    except OverflowError:
        whole = float(cap_ms)
    match jitter:
        case "full":
            return round(whole * random.random())
        case "equal":
            return round(whole / 2 + whole / 2 * random.random())
        case _:
            return round(whole)
