"""The command line; needs the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    try:
        import rich  # noqa: F401, PLC0415 - only whether it is there
        import typer  # noqa: F401, PLC0415 - likewise
    except ImportError:
        sys.stderr.write("the command line is an extra: pip install 'tenure[cli]'\n")
        raise SystemExit(2) from None
    from tenure.cli._app import run  # noqa: PLC0415 - needs what was just looked for

    run()
