"""A ledger for the handlers of a test."""

from __future__ import annotations

import pytest

from tests.integration.limits.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()
