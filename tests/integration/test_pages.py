"""What the pages tell a reader to write works: each Python block runs, each command is there with its options."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import typer

from tenure import Tenure
from tenure.cli._app import app as command_line
from tests.fix_apps import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure import Settings

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/workflows.md", "docs/schedules.md", "docs/unique.md", "docs/limits.md", "docs/fleet.md")
NAMING = (
    "README.md",
    "CONTRIBUTING.md",
    "migrations/README.md",
    "deploy/README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
)


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


class Elided(asyncpg.Connection):
    """A statement that a page leaves to its reader (`INSERT INTO orders …`) is none."""

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:
        """Run it, or what stands for it."""
        return await super().execute("SELECT 1" if "…" in query else query, *arguments, timeout=timeout)


class Reader:
    """What a reader is taken to have."""

    def __init__(self, app: Tenure, pool: asyncpg.Pool) -> None:
        """Have a pool."""
        self.app, self.pool, self.ledger, self.bank = app, pool, self, self
        self.paths = ["a.png", "b.png"]
        self.Receipt = dict | None
        self.fences: list[int] = []

    async def put(self, _amount: float, fence: int) -> None:
        """A store that can compare."""
        self.fences.append(fence)

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """By name; registered where a block names them without defining them."""

        async def thumbnail(path: str, width: int = 256) -> dict[str, object]:
            return {"path": path, "width": width}

        async def album() -> None: ...

        async def charge(order: int) -> dict[str, int]:
            return {"order": order}

        async def ship(order: int, receipt: dict[str, int]) -> str:
            return f"{order}: {receipt}"

        async def archive(order: int) -> None: ...

        async def report(state: object = None) -> None: ...

        async def clean_up(days: int) -> None: ...

        return {one.__name__: one for one in (thumbnail, album, charge, ship, archive, report, clean_up)}

    def names(self, block: str) -> dict[str, Any]:
        """What a block uses without defining it."""
        used = {node.id for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Name)}
        own = set(re.findall(r"def (\w+)\(", block))
        found = {name: getattr(self, name) for name in ("app", "pool", "ledger", "bank", "paths", "Receipt")}
        return found | {
            name: self.app.job()(handler) for name, handler in self.handlers().items() if name in used - own
        }


async def run(block: str, page: str, names: dict[str, Any]) -> None:
    """Run a block, in which `await` may stand outside of functions."""
    code = compile(block, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waits = FunctionType(code, names)()
    if inspect.iscoroutine(waits):
        await waits


def test_the_first_steps(settings: Settings, spawn_worker, tmp_path, monkeypatch):
    """The first two blocks of the README, as files, with a worker beside them."""
    shop, main = blocks("README.md")[:2]
    (tmp_path / "shop.py").write_text(shop)
    (tmp_path / "main.py").write_text(main)
    monkeypatch.chdir(tmp_path)
    spawn_worker(target="shop:app")
    done = subprocess.run(
        [sys.executable, "main.py"], env=environment(settings), capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "{'path': 'cat.png', 'width': 256}\n"), done.stderr


@pytest.mark.parametrize(
    ("page", "number"),
    [(page, number) for page in PAGES for number in range(2 if page == "README.md" else 0, len(blocks(page)))],
)
async def test_a_block_runs(page, number, settings, postgres_url, open_app):
    block = blocks(page)[number]
    app = await open_app(Tenure(settings))
    async with (
        asyncpg.create_pool(postgres_url, connection_class=Elided, min_size=1, max_size=4) as pool,
        app.worker(queues=["default", "night"]),
    ):
        reader = Reader(app, pool)
        names = reader.names(block)
        await run(block, page, names)
        if "transfer" in names:
            await (await names["transfer"].enqueue(5)).result(timeout=20)
            assert reader.fences == [1]
        # What was registered is what a worker can be started with.
        async with app.worker():
            pass


def commands() -> list[tuple[str, str]]:
    """Each command with its page."""
    found = []
    for page in NAMING:
        for line in re.findall(r"^ {4}(tenure .*)$|`(tenure [^`]+)`", (ROOT / page).read_text(), re.MULTILINE):
            several = re.split(r", (?=tenure )|; ", re.split(r" {3,}|\s#", "".join(line))[0])
            found += [(page, one) for one in several if one.startswith("tenure ")]
    return found


def missing(command: str) -> str:
    """What the command line lacks of a command; nothing where it is there."""
    here: Any = typer.main.get_command(command_line)
    for word in command.split()[1:]:
        for option in re.findall(r"--?[a-z][a-z-]*", word) if word.lstrip("[").startswith("-") else ():
            known = [text for one in here.params for text in (*one.opts, *one.secondary_opts)]
            if option not in (*known, "--help"):
                return f"no option {option}: {known}"
        if hasattr(here, "commands") and not word.lstrip("[").startswith("-"):
            each = [here.commands.get(one) for one in word.split("|")]
            if None in each:
                return f"no command {word}: {list(here.commands)}"
            here = each[0]
    return ""


def all_commands(group: Any, name: str) -> list[str]:
    """Every command in full."""
    inner = getattr(group, "commands", {})
    return [one for word in inner for one in all_commands(inner[word], f"{name} {word}")] or [name]


def test_every_command_is_in_the_readme():
    page = (ROOT / "README.md").read_text()
    known = all_commands(typer.main.get_command(command_line), "tenure")
    assert len(known) > 50
    lacking = [one for one in known if not re.search(rf"{one.rsplit(' ', 1)[0]} (\S*\|)?{one.split()[-1]}\b", page)]
    assert not set(lacking) - {"tenure demo", "tenure version"}  # `make demo`, and what says it all itself


def test_every_command_is_there():
    named = commands()
    assert len(named) > 50
    assert missing("tenure fleet quit WORKER")
    assert missing("tenure job show ID --rolling")
    assert not [(page, command, lack) for page, command in named if (lack := missing(command))]
