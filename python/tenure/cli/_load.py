"""Finding the user's app, and running a command on an open one."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tenure.app import Tenure
from tenure.errors import ConfigurationError, InvalidInput, TenureError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure.admin import Admin

R = TypeVar("R")


def load_app(target: str) -> Tenure:
    """The `Tenure` that `module:attribute` names, seen from the current directory.

    Raises:
        InvalidInput: the name is not of that form.
        ConfigurationError: there is no such module, it cannot be imported, or it has no `Tenure` of that name.
    """
    module_name, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise InvalidInput("app", "module:attribute", target)
    # An installed command's path begins with its own directory, not with the user's.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except TenureError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigurationError(f"no module has this name, seen from {here}: {module_name}") from error
        why = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"the module cannot be imported, --debug shows where: {module_name}: {why}") from error
    if not hasattr(module, attribute):
        raise ConfigurationError(f"the module has no attribute of this name: {target}")
    found = getattr(module, attribute)
    if not isinstance(found, Tenure):
        raise ConfigurationError(f"the attribute must be a Tenure, not {type(found).__name__}: {target}")
    return found


def with_admin(work: Callable[[Admin], Awaitable[R]]) -> R:
    """Run work on an app opened from the environment."""

    async def run() -> R:
        async with Tenure() as app:
            return await work(app.admin)

    return asyncio.run(run())
