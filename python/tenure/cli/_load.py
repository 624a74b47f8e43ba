"""Finding the user's app, and running a command on an open one."""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import TYPE_CHECKING, TypeVar

from tenure.app import Tenure
from tenure.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure.admin import Admin

R = TypeVar("R")


def load_app(target: str) -> Tenure:
    """The `Tenure` that `module:attribute` names, seen from the current directory.

    Raises:
        ConfigurationError: there is none.
    """
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise InvalidInput("app", "module:attribute", target)
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise ConfigurationError(f"no module has this name, seen from the current directory: {module_name}") from error
    found = getattr(module, attribute, None)
    if not isinstance(found, Tenure):
        raise ConfigurationError(f"the module has no Tenure of this name: {target}")
    return found


def with_admin(work: Callable[[Admin], Awaitable[R]]) -> R:
    """Run work on an app opened from the environment."""

    async def run() -> R:
        async with Tenure() as app:
            return await work(app.admin)

    return asyncio.run(run())
