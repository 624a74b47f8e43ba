"""What must be true of the keys of lanes: each follows from the ready jobs and from what waits for a limit."""

from __future__ import annotations

from collections import defaultdict
from typing import Any


def check_shape(found: dict[str, Any]) -> None:
    """Fail where a structure says something else than the ready jobs do."""
    ready = sorted(found.get("queue", {}))
    assert {member.rsplit("|", 1)[1]: member for member in ready} == found.get("entries", {})
    first: dict[str, str] = {}
    for member in ready:
        lane = member.rsplit("|", 2)[0]
        first.setdefault(lane, member)
    parked = found.get("parked", {})
    at = {member[3:].rsplit("|", 1)[0]: member.rsplit("|", 1)[1] for member in parked if member.startswith("at|")}
    lanes, tenants = set(), set()
    for member in parked:
        kind, *part = member.split("|")
        if kind == "key":
            key, number, band, since, name, tenant = part
            lane = f"{number}|{name}|{band}|{tenant}|{key}"
            assert at.get(lane) == since, "a parked lane is found"
            lanes.add(lane)
        elif kind == "tenant":
            tenants.add(tuple(part))
    assert lanes == at.keys(), "what is found is parked"
    assert lanes <= first.keys(), "a parked lane has jobs"

    heads, expected = set(found.get("heads", {})), set()
    turns = defaultdict(set)
    for lane, member in first.items():
        if lane in lanes:
            continue
        number, name, band, tenant, key = lane.split("|")
        order = member.split("|")[5]
        expected.add(f"{number}|{name}|{band}|{tenant}|{order}|{key}")
        turns[tenant].add((band, number, name))
    assert heads == expected, "heads are the first jobs of lanes that are not parked"

    members = found.get("turns", {})
    shown, by_tenant = set(), set()
    for member in members:
        part = member.split("|")
        if part[0] == "of":
            _, tenant, band, number, name, tag = part
            shown.add(f"{number}|{name}|{band}|{tag}|{tenant}")
            by_tenant.add((tenant, band, number, name))
        elif part[0] == "rested":
            _, band, tag, tenant = part
            assert int(found["tenants"][f"{band}|{tenant}"]) == int(tag), "who rests does so at its tag"
    assert shown == {member for member in members if not member.startswith(("of|", "rested|"))}
    wanted = {(tenant, *place) for tenant, places in turns.items() for place in places}
    assert by_tenant == wanted - tenants, (
        "a tenant has a turn wherever it has a head, unless it waits for its own limit"
    )
    assert tenants <= wanted, "a tenant that waits has heads"
    numbers = {member.split("|")[0] for member in ready} - {"0"}
    assert set(found.get("classes", {}).values()) == numbers, "classes are those of ready jobs"


def used_by(holds: dict[str, str]) -> dict[str, int]:
    """What holds add up to."""
    used: dict[str, int] = defaultdict(int)
    for text in holds.values():
        tenant, job_type, key, _, _, _, requires = text.split("|")
        for gate in ("queue", f"type|{job_type}", f"tenant|{tenant}", *([f"key|{key}"] if key else [])):
            used[gate] += 1
        for pair in filter(None, requires.partition(";")[2].split(",")):
            name, amount = pair.split("=")
            used[f"tenant|{tenant}|{name}"] += round(float(amount) * 1000)
    return dict(used)
