"""Results as a table: on the terminal after a run, and in the README with `python -m bench.table NAME`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results"
# What tells two cases apart.
_NAMES: Final = (
    "name",
    "policy",
    "machines",
    "detector",
    "mode",
    "processes",
    "concurrency",
    "rate",
    "jobs",
    "workers",
    "ready",
    "tenants",
    "leases_each",
)
_BEGIN: Final = "<!-- figures: python -m bench.table -->"
_END: Final = "<!-- end of figures -->"


def cases(figures: dict[str, Any]) -> list[tuple[str, str, dict[str, object]]]:
    """Part, case and figures of each measurement."""
    found: list[tuple[str, str, dict[str, object]]] = []
    for part, rows in figures.items():
        if part in ("measured", "quick", "machine", "notes"):
            continue
        for row in rows if isinstance(rows, list) else [rows]:
            case = ", ".join(f"{name} {row[name]}" for name in _NAMES if name in row)
            values: dict[str, object] = {}
            for name, value in row.items():
                if isinstance(value, dict):
                    values.update({f"{name}_{inner}": number for inner, number in value.items()})
                elif name not in _NAMES:
                    values[name] = value
            found.append((part, case, values))
    return found


def text_of(value: object) -> str:
    """A figure as people read it; what could not be measured says so."""
    if value is None:
        return "not measured"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def print_figures(console: Console, figures: dict[str, Any]) -> None:
    """One table: a line for each case of each part."""
    table = Table("part", "case", "figures")
    last = ""
    for part, case, values in cases(figures):
        if part != last:
            table.add_section()
        table.add_row(part if part != last else "", case, "  ".join(f"{n} {text_of(v)}" for n, v in values.items()))
        last = part
    console.print(table)
    if figures["quick"]:
        console.print("a quick run: everything works, the figures mean nothing")


def markdown(figures: dict[str, Any], name: str) -> str:
    """Machine, versions and figures for the README."""
    lines = [f"Measured {figures['measured']}.", ""]
    lines += [f"![the figures as a picture](results/{name}.svg)", ""] if (RESULTS / f"{name}.svg").exists() else []
    lines += [f"* {what}: {value}" for what, value in figures["machine"].items()]
    lines += ["", "| part | case | figures |", "|---|---|---|"]
    for part, case, values in cases(figures):
        shown = "; ".join(f"{figure} {text_of(value)}" for figure, value in values.items())
        lines.append(f"| {part} | {case} | {shown} |")
    # Written into the file by whoever knows what a run suffered from.
    lines += ["", *(f"* {note}" for note in figures["notes"])] if figures.get("notes") else []
    return "\n".join(lines)


def main() -> int:
    """Put the figures of one results file into the README."""
    name = sys.argv[1] if len(sys.argv) > 1 else "latest"
    figures = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    readme = HERE / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    readme.write_text(f"{before}{_BEGIN}\n{markdown(figures, name)}\n{_END}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
