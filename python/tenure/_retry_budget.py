"""How much of the work may be retries: what fails everywhere must not be asked ever more often."""

from __future__ import annotations

from typing import Final


class RetryBudget:
    """The retries of one job type in one process: a share of all its attempts, above a burst.

    While a dependency is away every job fails, and retries of ever more jobs add up to a load of their own, which keeps
    the dependency down when it comes back. So retries above `ratio` of the attempts are over the budget: their jobs are
    as safe as others and keep all their attempts, but wait for the longest delay. After the retry budgets of RPC
    clients (Finagle's `RetryBudget`; "Addressing Cascading Failures" in Google's SRE book).
    """

    __slots__ = ("_left", "_seen", "burst", "ended", "ratio")

    def __init__(self, ratio: float, burst: int) -> None:
        """A full budget."""
        self.ratio: Final = ratio
        self.burst: Final = burst
        # Counted up for each attempt that ends: all that the budget costs where nothing fails.
        self.ended = 0
        self._seen = 0
        self._left = float(burst)

    def spend(self) -> bool:
        """Take one retry out of the budget; False: it is over it."""
        earned = (self.ended - self._seen) * self.ratio
        self._seen = self.ended
        # What was not spent is no claim to a larger storm.
        self._left = min(float(self.burst), self._left + earned)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
