"""What ran beside what, by the word of the handlers themselves."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from tenure import Backoff


class Ledger:
    """What ran beside what, by the handlers' own word."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.began: list[str] = []

    async def run(self, name: str, seconds: float) -> None:
        self.began.append(name)
        self.running[name] += 1
        self.most[name] = max(self.most[name], self.running[name])
        try:
            await asyncio.sleep(seconds)
        finally:
            self.running[name] -= 1


def register(app, ledger: Ledger, **options):
    """The two types of an app, whose jobs say what they are to the ledger."""

    @app.job(max_retries=50, backoff=Backoff(base=0.01, cap=0.02), **options)
    async def mail(name: str, seconds: float = 0.01) -> str:
        await ledger.run(name, seconds * random.uniform(0.5, 1.5))
        return name

    @app.job(max_retries=50, backoff=Backoff(base=0.01, cap=0.02), **options)
    async def video(name: str, seconds: float = 0.01) -> str:
        await ledger.run(name, seconds * random.uniform(0.5, 1.5))
        return name

    return mail, video
