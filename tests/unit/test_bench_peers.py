"""The comparison with other job systems: what can be said of it without running it."""

import json
import re

import pytest
from bench.peers.catalogue import HERE, LIMITED, PEERS
from bench.peers.environment import versions
from bench.peers.table import lines, markdown

_PINNED = re.compile(r"[A-Za-z0-9_.-]+(\[[a-z,]+\])?==[0-9][^ ]*")
_WHOLE = {
    "name": "x",
    "title": "X",
    "durable": True,
    "promise": "p",
    "settings": "s",
    "concurrency": 1,
    "versions": "x==1",
    "before": {"load": 0.5, "sync_us": 100},
    "enqueue": {"one_by_one": 1234.5, "callers_100": 2.0, "bulk": None},
    "drain_1": {"jobs": 9, "per_second": 5000.4, "worker_us": 1.5, "postgres_us": 0.0, "redis_us": None},
    "drain_2": {"cannot": "it fell over"},
    "latency_500": {"p50_ms": 1.0, "p99_ms": 2.5},
    "latency_2000": {"cannot": "one worker process drains 900/s"},
}


@pytest.mark.parametrize("peer", dict.fromkeys((*PEERS, *LIMITED)), ids=lambda peer: peer.name)
def test_every_peer_has_an_adapter_and_pinned_versions(peer):
    adapters, ending = (HERE / "node", "mjs") if peer.node else (HERE / "adapters", "py")
    assert (adapters / f"{peer.adapter}_adapter.{ending}").exists()
    if peer.requirements.exists():
        wanted = [line for line in peer.requirements.read_text("utf-8").splitlines() if not line.startswith("#")]
        assert [line for line in wanted if not _PINNED.fullmatch(line)] == []
    elif peer.node:
        named = json.loads((HERE / "node" / "package.json").read_text("utf-8"))["dependencies"]
        assert [version for version in named.values() if not version[0].isdigit()] == []
        assert set(peer.packages) <= named.keys()
    else:
        assert peer.title.startswith("tenure")
    assert "==" in versions(peer)


@pytest.mark.parametrize("peers", [PEERS, LIMITED], ids=["all", "limited"])
def test_names_are_told_apart(peers):
    assert len({peer.name for peer in peers}) == len(peers)


@pytest.mark.parametrize("peer", LIMITED, ids=lambda peer: peer.name)
def test_who_has_limits_can_be_sent_jobs_under_one(peer):
    adapters, ending = (HERE / "node", "mjs") if peer.node else (HERE / "adapters", "py")
    source = (adapters / f"{peer.adapter}_adapter.{ending}").read_text("utf-8")
    assert peer.limit
    assert re.search(r"\blimited\b", source)
    assert re.search(r"\bhold\(|\bkeeps\b", source)


def test_what_a_peer_cannot_do_says_why():
    failed = {**{name: _WHOLE[name] for name in list(_WHOLE)[:7]}, "title": "Y", "failed": "needs python 9"}
    figures = {"measured": "now", "machine": {"cores": "2"}, "peers": [_WHOLE, failed]}
    whole, absent = lines(figures)
    assert len(whole) == len(absent)
    assert whole[2:5] == ["1,234 · 2 · none", "5,000 · cannot", "1.5 · 0 · not measured"]
    assert whole[5:7] == ["1 / 2.5", "cannot"]
    text = markdown(figures)
    for reason in ("X, drain 2: it fell over", "X, latency 2000: one worker process drains 900/s", "Y: needs python 9"):
        assert reason in text


def test_what_a_limit_costs_the_others_is_a_table_of_its_own():
    peer = {name: _WHOLE[name] for name in ("name", "title", "settings", "concurrency", "versions", "before")}
    measured = {
        "unlimited": 5000.4, "alone": 4000.0, "beside": 1000.0, "ratio": 0.25, "ratios": [0.2, 0.25, 0.5],
        "cpu": {"unlimited": 40.0, "alone": 50.0, "beside": 200.0},
    }  # fmt: skip
    whole = {**peer, "limit": "lock", **measured}
    failed = {**peer, "limit": "lock", "title": "Y", "failed": "needs node"}
    figures = {"measured": "now", "machine": {"cores": "2"}, "peers": [whole, failed]}
    first, second = lines(figures)
    assert first[1:6] == ["lock", "5,000", "4,000", "1,000", "0.25 (0.2 · 0.25 · 0.5)"]
    assert first[6] == "40 · 50 · 200"
    assert len(first) == len(second)
    text = markdown(figures)
    assert "Y: needs node" in text
    assert "promise" not in text
