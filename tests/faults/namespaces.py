"""A network of its own for a process, with a cable that can be pulled."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenure import Settings
    from tests.faults.stage import Stage

PASSWORD = "of-these-tests-only"


@dataclass
class Namespace:
    """A network namespace at the end of a veth pair."""

    name: str
    here: str
    there: str

    def up(self) -> None:
        """Make it."""
        for command in (
            f"netns add {self.name}",
            f"link add {self.name}h type veth peer name {self.name}n netns {self.name}",
            f"addr add {self.here}/30 dev {self.name}h",
            f"link set {self.name}h up",
            f"-n {self.name} addr add {self.there}/30 dev {self.name}n",
            f"-n {self.name} link set {self.name}n up",
            f"-n {self.name} link set lo up",
        ):
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)

    def part(self) -> None:
        """Pull the cable: nothing passes, nobody is told."""
        subprocess.run(["ip", "-n", self.name, "route", "add", "blackhole", f"{self.here}/32"], check=True)
        subprocess.run(["ip", "route", "add", "blackhole", f"{self.there}/32"], check=True)

    def join(self) -> None:
        """Put it back."""
        subprocess.run(["ip", "-n", self.name, "route", "del", "blackhole", f"{self.here}/32"], check=False)
        subprocess.run(["ip", "route", "del", "blackhole", f"{self.there}/32"], check=False, capture_output=True)

    def down(self) -> None:
        """Remove it."""
        subprocess.run(["ip", "route", "del", "blackhole", f"{self.there}/32"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", f"{self.name}h"], check=False, capture_output=True)


@contextmanager
def both_sides(stage: Stage, namespace: Namespace) -> Iterator[tuple[Settings, Settings]]:
    """Settings of a worker on this side of the cable, and of one in the namespace: its stores are at this end."""
    with stage.raw() as client:
        client.config_set("requirepass", PASSWORD)  # a server off loopback must have one
    here, given = namespace.here, stage.settings
    with Proxy(stage.postgres.upstream, here) as postgres, Proxy(stage.redis.upstream, here) as hot:
        yield (
            replace(given, redis_url=(given.redis_url or "").replace("//", f"//:{PASSWORD}@")),
            replace(
                given,
                postgres_url=f"postgresql://postgres@{here}:{postgres.port}/postgres",
                redis_url=f"redis://:{PASSWORD}@{here}:{hot.port}/0",
            ),
        )
