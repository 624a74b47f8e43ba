"""Rules of uniqueness that cannot be kept are refused."""

from __future__ import annotations

import pytest

from tenure import InvalidInput, Unique
from tests.integration.unique.conftest import live


@pytest.mark.parametrize(
    "values",
    [
        {"key": ""},
        {"key": "k" * 256},
        {"arguments": False},
        {"arguments": ()},
        {"arguments": ["user"]},
        {"until": "queued"},
        {"on_conflict": "ignore"},
        {"on_conflict": "later"},
        {"hold": 0},
        {"hold": 1, "until": "started"},
        {"period": -1},
        {"period": 1, "until": "started"},
        {"at_most": 1},
    ],
)
def test_rules_that_contradict_themselves_are_refused(values):
    with pytest.raises(InvalidInput, match=r"unique\."):
        Unique(**values)


async def test_what_a_type_cannot_keep_is_refused(open_app, app, raw_postgres, migrated_schema):
    @app.job(record="behind")
    async def quick(user: str) -> None: ...

    await open_app(app)
    for rule in (Unique(until="started"), Unique(on_conflict="replace"), Unique.debounce(1)):
        with pytest.raises(InvalidInput, match="record='behind'"):
            await quick.options(unique=rule).enqueue("a")
    with pytest.raises(InvalidInput, match="among user"):
        await quick.options(unique=Unique(arguments=("name",))).enqueue("a")
    with pytest.raises(InvalidInput, match="a Unique, True or a key"):
        quick.options(unique=7)
    assert (await quick.options(unique=True).enqueue("a")).created
    assert await live(raw_postgres, migrated_schema) == 1
