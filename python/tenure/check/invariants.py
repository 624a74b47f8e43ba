"""Every invariant by its name; what each means is its own docstring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tenure.check import invariants_rows as rows
from tenure.check import invariants_witness as witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tenure.check.evidence import Breach, Evidence

INVARIANTS: Final[dict[str, Callable[[Evidence], Iterable[Breach]]]] = {
    "I1": witness.i1_acked_is_there,
    "I2": rows.i2_one_end,
    "I3": rows.i3_fenced,
    "I4": rows.i4_alive,
    "I5": witness.i5_one_lease,
    "I6": rows.i6_fences_rise,
    "I7": rows.i7_one_row_an_attempt,
    "I8": witness.i8_one_entry,
    "I9": rows.i9_dead_letters,
    "I10": witness.i10_priority,
    "I11": rows.i11_parents_first,
    "I12": rows.i12_unique,
    "I13": witness.i13_no_lease_lost_early,
    "I14": witness.i14_runs_are_attempts,
    "I15": witness.i15_backoff,
    "I16": witness.i16_conserved,
    "I17": witness.i17_stores_agree,
    "I18": witness.i18_limits,
    "I20": witness.i20_no_leak,
}


def judge(evidence: Evidence) -> dict[str, list[Breach]]:
    """The breaches of each invariant that has any."""
    found = {name: list(invariant(evidence)) for name, invariant in INVARIANTS.items()}
    return {name: breaches for name, breaches in found.items() if breaches}
