"""What a job is handed of the jobs it depends on: where results go in a payload, and putting them there.

A payload with references begins with one field more than the handler has parameters, `$results`: a list of places and
whose result goes there. No argument can be taken for it, for no parameter has such a name; and it is sealed with the
rest. All else of a payload is as it would be, with null where a result is to go.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure._coalesce import Coalescer
from tenure._codec import JSON, decode
from tenure._stored import opened_result
from tenure.errors import StoreUnavailable
from tenure.workflows import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tenure._database import Database, Row
    from tenure._engine import Lease
    from tenure._seal import Seal

logger = logging.getLogger("tenure.references")

FIELD: Final = "$results"
_JSON_BEGINS: Final = b'{"$results":'
_MSGPACK_FIELD: Final = b"\xa8$results"
_MSGPACK_FIELD_AT: Final = (1, 3)  # behind the header of a map of up to 15 fields, and of more
_MOST: Final = 1000
_LONGEST_PAUSE: Final = 2.0


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in the arguments, and what goes there: what a job returned, or the state of a workflow."""

    path: list[str | int]
    job: str | None = None
    workflow: str | None = None


class Gone(Exception):
    """There is nothing that the reference could mean any more."""


class _Another:
    """A lease with another payload than it was given with; all else is the lease's."""

    __slots__ = ("_lease", "payload")

    def __init__(self, lease: Lease, payload: bytes) -> None:
        self._lease = lease
        self.payload = payload

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lease, name)


def with_payload(lease: Lease, payload: bytes) -> Lease:
    """The lease with a payload that was opened, or completed."""
    return _Another(lease, payload)  # type: ignore[return-value]  # it has all that a lease has


def has_references(payload: bytes, payload_format: str) -> bool:
    """Whether something is to be put into it; looks at its first bytes alone."""
    if payload_format == JSON:
        return payload.startswith(_JSON_BEGINS)
    return any(payload.startswith(_MSGPACK_FIELD, at) for at in _MSGPACK_FIELD_AT)


class References:
    """Completes payloads. What the jobs of one turn of the loop need is read in one statement."""

    def __init__(self, database: Database, seal: Seal | None) -> None:
        """Prepare; the stores must be open when the first payload comes. `seal` opens results."""
        self._database = database
        self._seal = seal
        self._asked: Coalescer[tuple[list[Reference], asyncio.Future[dict[str, Row]]]] = Coalescer(
            self._read, most=_MOST, in_flight=2
        )

    async def fill(self, lease: Lease) -> Lease:
        """The lease with its payload as the handler's decoder takes it; a job that ended without a result leaves null.

        Waits for PostgreSQL for as long as the attempt may: its end could not be recorded either.

        Raises:
            Gone: a job or workflow is not there any more.
            SealRefused: a result cannot be opened here.
            msgspec.MsgspecError: the payload is not what it says it is.
        """
        payload_format = lease.payload_format
        coder: Any = msgspec.json if payload_format == JSON else msgspec.msgpack
        fields: dict[str, Any] = coder.decode(lease.payload, type=dict[str, msgspec.Raw])
        references: list[Reference] = coder.decode(fields.pop(FIELD), type=list[Reference])
        rows = await self._rows(references)
        opened: set[str | int] = set()
        for reference in references:
            name, *path = reference.path
            value = self._value(reference, rows, payload_format)
            if not path:
                fields[str(name)] = value
                continue
            if name not in opened:
                fields[str(name)] = coder.decode(fields[str(name)])
                opened.add(name)
            _put(fields[str(name)], path, value)
        return with_payload(lease, coder.encode(fields))

    def _value(self, reference: Reference, rows: Mapping[str, Row], payload_format: str) -> Any:
        row = rows.get(reference.job or reference.workflow or "")
        if row is None:
            raise Gone(f"there is no such job or workflow any more: {reference.job or reference.workflow}")
        if reference.workflow is not None:
            return state_of(row)
        opened = opened_result(row, self._seal) if row["status"] == "COMPLETED" else None
        if opened is None:
            return None
        data, result_format = opened
        return msgspec.Raw(data) if result_format == payload_format else decode(data, result_format)

    async def _rows(self, references: list[Reference]) -> dict[str, Row]:
        pause = 0.05
        while True:
            found: asyncio.Future[dict[str, Row]] = asyncio.get_running_loop().create_future()
            self._asked.add((references, found))
            try:
                return await found
            except StoreUnavailable as error:
                logger.warning("postgresql is away, a job waits for its parents' results: %s", error)
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _read(self, batch: list[tuple[list[Reference], asyncio.Future[dict[str, Row]]]]) -> None:
        try:
            rows = await self._fetch([reference for references, _ in batch for reference in references])
        except Exception as error:  # noqa: BLE001 - every asker of the batch is told
            for _, found in batch:
                if not found.done():
                    found.set_exception(error)
            return
        for _, found in batch:
            if not found.done():
                found.set_result(rows)

    async def _fetch(self, references: Sequence[Reference]) -> dict[str, Row]:
        rows: dict[str, Row] = {}
        if jobs := list({reference.job for reference in references if reference.job}):
            rows |= {str(row["job_id"]): row for row in await self._database.fetch("parent_results", jobs)}
        if flows := list({reference.workflow for reference in references if reference.workflow}):
            found = await self._database.fetch("list_workflows", flows, None, len(flows))
            rows |= {str(row["workflow_id"]): row for row in found}
        return rows


def _put(value: Any, path: list[str | int], found: Any) -> None:
    *way, last = path
    for step in way:
        value = value[step]
    value[last] = found
