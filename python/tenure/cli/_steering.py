"""Asking several workers or supervisors side by side, and what their answers are to a script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import typer

from tenure.cli._output import print_json, print_table
from tenure.errors import NoAnswer, WorkerRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_AT_ONCE: Final = 100

Answers = dict[str, tuple[str, str]]  # id to outcome and text


async def ask_all(ids: Iterable[str], ask: Callable[[str], Awaitable[str]]) -> Answers:
    """Ask all of them side by side: one that is silent holds up no other."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(whom: str) -> tuple[str, str]:
        async with limit:
            try:
                return "done", await ask(whom)
            except WorkerRefused as error:
                return "refused", str(error)
            except NoAnswer as error:
                return "unknown", str(error)

    found = list(ids)
    return dict(zip(found, await asyncio.gather(*map(one, found)), strict=True))


def show(answers: Answers, *, as_json: bool, who: str = "worker") -> None:
    """Print them, and exit with what they amount to."""
    if as_json:
        print_json([{f"{who}_id": one, "outcome": outcome, "text": text} for one, (outcome, text) in answers.items()])
    else:
        rows = [(one, outcome, text) for one, (outcome, text) in answers.items()]
        print_table(f"{who}s", (who, "outcome", "answer"), rows)
    leave(answers)


def leave(answers: Answers) -> None:
    """Exit with 6 where it is unknown of anybody whether it was done, with 5 where one refused."""
    outcomes = {outcome for outcome, _ in answers.values()}
    if "unknown" in outcomes:
        raise typer.Exit(6)
    if "refused" in outcomes:
        raise typer.Exit(5)
