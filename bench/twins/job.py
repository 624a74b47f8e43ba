"""A job as Redis holds it, and the right to run one: the twins of `Descriptor` and `Lease`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a worker must know of a job."""

    job_id: str
    job_type: str
    priority: int
    fence: int
    attempts: int
    max_retries: int
    timeout_ms: int
    run_at_ms: int
    payload: bytes
    payload_format: str = "json"
    mode: str = "before"

    def encode(self) -> bytes:
        """One header line, then the payload."""
        header = (
            f"1 {self.priority} {self.fence} {self.attempts} {self.max_retries} {self.timeout_ms} {self.run_at_ms} "
            f"{self.payload_format} {self.mode} {self.job_type}\n"
        )
        return header.encode() + self.payload


@dataclass(frozen=True, slots=True)
class Lease:
    """A leased job; `fence` is the lease's own, `attempt` counts from 1."""

    job_id: str
    queue: str
    fence: int
    attempt: int
    job_type: str
    priority: int
    max_retries: int
    timeout_ms: int
    run_at_ms: int
    payload: bytes
    payload_format: str
    mode: str


def decode(job_id: bytes, text: bytes, queue: str) -> Lease:
    """The lease of a job that the script took."""
    header, _, payload = text.partition(b"\n")
    _, priority, fence, attempts, retries, timeout, run_at, payload_format, mode, job_type = header.decode().split(" ")
    return Lease(
        job_id.decode(),
        queue,
        int(fence) + 1,
        int(attempts) + 1,
        job_type,
        int(priority),
        int(retries),
        int(timeout),
        int(run_at),
        payload,
        payload_format,
        mode,
    )
