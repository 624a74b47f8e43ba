"""Classes: what a job needs of a worker, and what a worker offers, as one canonical text: `gpu,region:eu;cpu=2,mem=4`.

Capabilities stand before the `;`, amounts of resources behind it, both sorted; either may be absent, and the text of
nothing is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST: Final = 512


def class_text(capabilities: Iterable[str], resources: Mapping[str, float]) -> str:
    """The text of what is needed or offered; both are validated already, and sorted."""
    amounts = ",".join(f"{name}={number(amount)}" for name, amount in resources.items())
    return ",".join(capabilities) + (f";{amounts}" if amounts else "")


def check_length(field: str, text: str) -> str:
    """The text, unless it is too long to be compared with others at every lease."""
    if len(text) > _LONGEST:
        raise InvalidInput(field, f"at most {_LONGEST} characters together", text)
    return text


def resources_of(text: str) -> dict[str, float]:
    """The amounts in such a text."""
    pairs = (one.partition("=") for one in text.partition(";")[2].split(",") if one)
    return {name: float(amount) for name, _, amount in pairs}


def number(value: float) -> str:
    """An amount with as few digits as it needs, and at most three decimals."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


class Offers:
    """What a worker can take on now: its capabilities, and of its resources what its leases leave.

    Counted on the event loop, where leases are taken and ended, so that no two of them are given the same part.
    """

    def __init__(self, capabilities: Iterable[str], resources: Mapping[str, float]) -> None:
        """All that the worker has."""
        self._capabilities = tuple(capabilities)
        # in thousandths, so that what is given back is what was taken
        self._free = {name: _thousandths(amount) for name, amount in resources.items()}
        self._text: str | None = None
        # with as many digits as it may come to have
        check_length("capabilities, resources", class_text(capabilities, dict.fromkeys(resources, 999_999.999)))

    @property
    def text(self) -> str:
        """As a lease call tells it."""
        if self._text is None:
            free = {name: amount / 1000 for name, amount in self._free.items() if amount > 0}
            self._text = class_text(self._capabilities, free)
        return self._text

    def take(self, requires: str) -> None:
        """A job of this class was leased."""
        self._change(requires, -1)

    def give_back(self, requires: str) -> None:
        """It is over, and nothing of it runs here any more."""
        self._change(requires, 1)

    def _change(self, requires: str, sign: int) -> None:
        for name, amount in resources_of(requires).items():
            # What this worker does not have it was not asked for: a job that was put when it offered more.
            self._free[name] = self._free.get(name, 0) + sign * _thousandths(amount)
            self._text = None


def _thousandths(amount: float) -> int:
    return round(amount * 1000)
