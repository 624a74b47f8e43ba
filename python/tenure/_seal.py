"""Sealing payloads and results: encrypted, signed, or both, and bound to the job they are part of.

A sealed payload is a layer around bytes that begins with 0xC1, which neither JSON nor MessagePack begins with:

    signed     C1 'S'  length of key id, key id, expiry (8 bytes, ms since 1970), HMAC-SHA256 (32 bytes), what is signed
    encrypted  C1 'E'  length of key id, key id, nonce (12 bytes), AES-256-GCM ciphertext with its tag (16 bytes)

First encrypted, then signed. Both cover the *envelope*: what the bytes are (payload or result), the job's id, type,
queue and format; the signature also mode, retry limit, timeout and expiry, all that a worker acts on and that does not
change while a job lives. Each message has a key of its own, HMAC-SHA256 of the ring's key over the envelope: random
nonces then never run out, however many jobs one key seals.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from typing import TYPE_CHECKING, Any, Final

from tenure._keys import KeyRing
from tenure.errors import ConfigurationError, SealRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tenure._engine import Lease
    from tenure._new_job import NewJob
    from tenure.settings import Settings

_MARK: Final = b"\xc1"
_ENCRYPTED: Final = b"\xc1E"
_SIGNED: Final = b"\xc1S"
_NONCE: Final = 12
_TAG: Final = 16
_EXPIRY: Final = 8
_MAC: Final = 32

# What a payload is bound to: job id, type, queue and format; then, for the signature alone, mode, retry limit, timeout.
Envelope = tuple[tuple[str, ...], tuple[str, ...]]


def is_sealed(data: bytes) -> bool:
    """Whether bytes were sealed by anybody."""
    return data[:1] == _MARK


class Seal:
    """Seals what goes into the stores and opens what comes out of them."""

    def __init__(
        self, encryption: KeyRing | None, signing: KeyRing | None, *, lifetime: float, accept_unsealed: bool
    ) -> None:
        """Prepare.

        Args:
            encryption: keys for payloads and results; None leaves them readable.
            signing: keys for payloads; None leaves them unsigned.
            lifetime: seconds for which a signature holds, from when the job may run.
            accept_unsealed: run jobs that were enqueued before there were keys.

        Raises:
            ConfigurationError: encryption needs the extra `crypto`.
        """
        self._encryption = encryption
        self._signing = signing
        self._lifetime_ms = round(lifetime * 1000)
        self._accept_unsealed = accept_unsealed
        self._cipher: Callable[[bytes], Any] | None = None if encryption is None else _cipher()

    @classmethod
    def of(cls, settings: Settings) -> Seal | None:
        """What the settings ask for; None if neither.

        Raises:
            ConfigurationError: a key file is refused.
        """
        encryption, signing = (
            None if path is None else KeyRing.read(path, field)
            for field, path in (
                ("encryption_keys", settings.encryption_keys),
                ("signing_keys", settings.signing_keys),
            )
        )
        if encryption is None and signing is None:
            return None
        return cls(encryption, signing, lifetime=settings.signature_seconds, accept_unsealed=settings.accept_unsealed)

    def seal_jobs(self, jobs: Iterable[NewJob]) -> None:
        """Seal the payloads of new jobs, in place."""
        now_ms = round(time.time() * 1000)
        for job in jobs:
            profile = job.profile
            envelope = _envelope(job.job_id, profile)
            if self._encryption is not None:
                job.payload = self._encrypt(job.payload, "payload", envelope[0])
            if self._signing is not None:
                run_at = profile.run_at
                begins = now_ms + profile.delay_ms if run_at is None else round(run_at.timestamp() * 1000)
                job.payload = self._sign(job.payload, envelope, max(begins, now_ms) + self._lifetime_ms)

    def open_payload(self, lease: Lease) -> bytes:
        """The payload of a lease, as it was before it was sealed.

        Raises:
            SealRefused: it is not what somebody with a key enqueued as this job, or it is too late to run it.
        """
        envelope = _envelope(lease.job_id, lease)
        data = lease.payload
        if not is_sealed(data) and self._accept_unsealed:
            return data
        if self._signing is not None:
            data = self._verified(data, envelope)
        elif data[:2] == _SIGNED:
            data = _split(data, _EXPIRY + _MAC)[2]  # a producer signs already; this worker has no keys to ask
        if self._encryption is not None:
            return self._decrypt(data, "payload", envelope[0])
        if is_sealed(data):
            raise SealRefused("the payload is encrypted, and no encryption keys are set here")
        return data

    def seal_result(self, data: bytes, job_id: str, result_format: str) -> bytes:
        """A result, encrypted if payloads are."""
        if self._encryption is None:
            return data
        return self._encrypt(data, "result", (job_id, result_format))

    def open_result(self, data: bytes, job_id: str, result_format: str) -> bytes:
        """A result as it was before it was sealed.

        Raises:
            SealRefused: it is not what somebody with a key recorded as this job's.
        """
        if self._encryption is None or (self._accept_unsealed and not is_sealed(data)):
            return data
        return self._decrypt(data, "result", (job_id, result_format))

    def show_payload(self, data: bytes, bound: tuple[str, str, str, str]) -> bytes:
        """A payload for people to read: decrypted, but with whatever signature; nothing may be run by it.

        Raises:
            SealRefused: it cannot be decrypted.
        """
        if data[:2] == _SIGNED:
            data = _split(data, _EXPIRY + _MAC)[2]
        return self._decrypt(data, "payload", bound) if self._encryption is not None and is_sealed(data) else data

    def _encrypt(self, data: bytes, what: str, bound: tuple[str, ...]) -> bytes:
        assert self._encryption is not None  # noqa: S101 - every caller has asked
        assert self._cipher is not None  # noqa: S101 - set with it
        key_id = self._encryption.newest
        associated = _joined((what, key_id, *bound))
        key = hmac.digest(self._encryption[key_id], associated, hashlib.sha256)
        nonce = os.urandom(_NONCE)
        return _header(_ENCRYPTED, key_id) + nonce + bytes(self._cipher(key).encrypt(nonce, data, associated))

    def _decrypt(self, data: bytes, what: str, bound: tuple[str, ...]) -> bytes:
        assert self._encryption is not None  # noqa: S101 - every caller has asked
        assert self._cipher is not None  # noqa: S101 - set with it
        if data[:2] != _ENCRYPTED:
            raise SealRefused(f"the {what} is not encrypted")
        key_id, head, sealed = _split(data, _NONCE)
        associated = _joined((what, key_id, *bound))
        key = hmac.digest(self._encryption[key_id], associated, hashlib.sha256)
        if len(sealed) < _TAG:
            raise SealRefused(f"the {what} is cut short")
        try:
            return bytes(self._cipher(key).decrypt(head, sealed, associated))
        except Exception as error:  # the library's own says nothing, on purpose
            raise SealRefused(f"the {what} was changed, or is another job's") from error

    def _sign(self, data: bytes, envelope: Envelope, expires_ms: int) -> bytes:
        assert self._signing is not None  # noqa: S101 - every caller has asked
        key_id = self._signing.newest
        expiry = expires_ms.to_bytes(_EXPIRY, "big")
        return _header(_SIGNED, key_id) + expiry + self._mac(key_id, expiry, envelope, data) + data

    def _verified(self, data: bytes, envelope: Envelope) -> bytes:
        if data[:2] != _SIGNED:
            raise SealRefused("the payload is not signed")
        key_id, head, signed = _split(data, _EXPIRY + _MAC)
        expiry, mac = head[:_EXPIRY], head[_EXPIRY:]
        if not hmac.compare_digest(mac, self._mac(key_id, expiry, envelope, signed)):
            raise SealRefused("the job was changed after it was signed, or is another one")
        if time.time() * 1000 > int.from_bytes(expiry, "big"):
            raise SealRefused("the signature has expired")
        return signed

    def _mac(self, key_id: str, expiry: bytes, envelope: Envelope, data: bytes) -> bytes:
        assert self._signing is not None  # noqa: S101 - every caller has asked
        bound, more = envelope
        covered = _joined(("signed", key_id, *bound, *more)) + expiry + data
        return hmac.digest(self._signing[key_id], covered, hashlib.sha256)


def _envelope(job_id: str, what: Any) -> Envelope:
    """What a payload is bound to; a profile and a lease name it alike."""
    bound = (job_id, what.job_type, what.queue, what.payload_format)
    return bound, (what.mode, str(what.max_retries), str(what.timeout_ms or 0))


def _joined(parts: Iterable[str]) -> bytes:
    """The parts with their lengths, so that no two lists of parts are the same bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in (b"tenure 1", *encoded))


def _header(kind: bytes, key_id: str) -> bytes:
    return kind + bytes((len(key_id),)) + key_id.encode()


def _split(data: bytes, head: int) -> tuple[str, bytes, bytes]:
    """A layer's key id, its head of that many bytes, and what is inside."""
    begin = 3 + data[2] if len(data) > 2 else 0  # noqa: PLR2004 - mark, kind, length
    inside = begin + head
    try:
        if begin and len(data) >= inside:
            return data[3:begin].decode("ascii"), data[begin:inside], data[inside:]
    except UnicodeDecodeError:
        pass
    raise SealRefused("the seal is cut short")


def _cipher() -> Callable[[bytes], Any]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError("encryption_keys needs an extra: pip install 'tenure[crypto]'") from error
    return AESGCM
