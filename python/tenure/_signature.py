"""What a handler takes: how its arguments become a payload, and a payload its arguments."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure.context import JobContext
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Signature:
    """A handler's parameters, read once at registration.

    A payload is an object with one field per argument, so that it stays readable and survives a reordered signature.
    The worker decodes it straight into the annotated types; a parameter annotated `JobContext` receives the context.
    """

    def __init__(self, handler: Callable[..., object]) -> None:
        """Read the handler's signature.

        Raises:
            InvalidInput: a parameter has no name of its own (`*args`, `**kwargs`, positional only).
        """
        hints = _type_hints(handler)
        self.context_name: str | None = None
        names: list[str] = []
        required: set[str] = set()
        self.defaults: Final[dict[str, object]] = {}
        struct_fields: list[tuple[str, Any, Any]] = []
        positional = 0
        for parameter in inspect.signature(handler).parameters.values():
            if parameter.kind not in _NAMED:
                raise InvalidInput("handler", "a function whose every parameter has a name", str(parameter))
            hint = hints.get(parameter.name, Any)
            if hint is JobContext:
                self.context_name = parameter.name
                continue
            names.append(parameter.name)
            positional += parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            if parameter.default is inspect.Parameter.empty:
                required.add(parameter.name)
            else:
                self.defaults[parameter.name] = parameter.default
            struct_fields.append((parameter.name, _decodable(hint) | msgspec.UnsetType, msgspec.UNSET))
        self._names: Final = tuple(names)
        self._positional: Final = positional
        self._required: Final = frozenset(required)
        self._known: Final = frozenset(names)
        self._type: Final = msgspec.defstruct("Arguments", struct_fields, kw_only=True, forbid_unknown_fields=True)
        self._decoders: Final[dict[str, Any]] = {
            "json": msgspec.json.Decoder(self._type),
            "msgpack": msgspec.msgpack.Decoder(self._type),
        }

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        """The arguments by name.

        Raises:
            InvalidInput: one is missing, unknown or given twice.
        """
        if not args and kwargs.keys() == self._known:
            return dict(kwargs)
        if len(args) > self._positional:
            raise InvalidInput("args", f"at most {self._positional} positional arguments", len(args))
        bound = dict(zip(self._names, args, strict=False))
        if kwargs:
            if twice := bound.keys() & kwargs.keys():
                raise InvalidInput("kwargs", "arguments given once", sorted(twice))
            bound.update(kwargs)
            if unknown := kwargs.keys() - self._known:
                raise InvalidInput("kwargs", "among " + ", ".join(self._names), sorted(unknown))
        if missing := self._required - bound.keys():
            raise InvalidInput("args", "complete, missing " + ", ".join(sorted(missing)), sorted(bound))
        return bound

    def decode(self, payload: bytes, payload_format: str) -> dict[str, object]:
        """The keyword arguments of a payload, in the annotated types.

        Raises:
            msgspec.MsgspecError: the payload does not fit the handler's signature.
        """
        arguments = self._decoders[payload_format].decode(payload)
        bound = {}
        for name in self._names:
            value = getattr(arguments, name)
            if value is not msgspec.UNSET:
                bound[name] = value
            elif name in self._required:
                raise msgspec.ValidationError(f"Object missing required field `{name}`")
        return bound


def _type_hints(handler: Callable[..., object]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(handler)
    except NameError:
        # An annotation that exists for the type checker alone: everything is decoded as plain objects, but the context
        # must still be found.
        annotations = getattr(handler, "__annotations__", {})
        return {
            name: JobContext
            for name, hint in annotations.items()
            if hint is JobContext or (isinstance(hint, str) and hint.rpartition(".")[2] == "JobContext")
        }


def _decodable(hint: Any) -> Any:
    """The hint, or Any where msgspec has no way to build its values from a payload."""
    try:
        msgspec.json.Decoder(hint | msgspec.UnsetType)
    except (TypeError, NameError):
        return Any
    # A class that msgspec knows nothing of passes the decoder's check and fails at every value: leave it plain.
    if "CustomType" in repr(msgspec.inspect.type_info(hint)):
        return Any
    return hint
