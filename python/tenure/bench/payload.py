"""What a measured job carries."""

from __future__ import annotations

from typing import Final

# With its number and time the arguments are about 200 bytes as JSON, like those of the peers that users compare with.
PAD: Final = "x" * 96


def arguments(number: int, sent: float = 0.0, pad: str = PAD) -> dict[str, object]:
    """The arguments of one job."""
    return {"number": number, "sent": sent, "user": "someone@example.org", "template": "welcome", "pad": pad}
