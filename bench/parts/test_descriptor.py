"""A job as the hot path takes it: kept in Rust, or in a dataclass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.parts.ways import descriptor_fields
from bench.twins.job import Descriptor as TwinDescriptor
from tenure._engine import Descriptor, new_ids
from tenure._new_job import prepare
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.parts.conftest import Part
    from bench.space import Space

_MAKE: dict[str, Callable[..., Any]] = {"tenure": Descriptor, "python": TwinDescriptor}
_LIMIT = 1 << 20


def test_make(part: Part, way: str) -> None:
    """One descriptor, of values that are at hand."""
    make, fields = _MAKE[way], descriptor_fields(new_ids(1)[0])
    assert part.call("make a descriptor", way, lambda: make(**fields)).job_id == fields["job_id"]


def test_prepare(part: Part, here: Space) -> None:
    """Everything that an enqueue does before it has something to write; there is no twin of it."""
    job_type = here.producer().job_types["before"]
    job_id = new_ids(1)[0]

    def one() -> Any:
        return prepare(job_type.request(**arguments(1)), job_type, _LIMIT, job_id)

    assert part.call("prepare a job", "tenure", one).job_id == job_id
