"""A network of its own for a process, with a cable that can be pulled."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass


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
