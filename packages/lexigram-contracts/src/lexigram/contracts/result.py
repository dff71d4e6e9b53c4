"""``Ok``, ``Err`` and ``Result``: PyPI ``result`` with ``match``, serialisers and helpers.

The classes subclass the library's own, so ``isinstance(x, result.Ok)`` and structural pattern matching
keep working; every combinator gives one of *our* classes back.

    >>> Ok(2).match(ok=lambda n: n + 1, err=lambda e: 0)
    3
    >>> match Ok("x"):
    ...     case Ok(value):
    ...         print(value)
    x
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeAlias, TypeVar, cast

import result as _result
from result import UnwrapError
from typing_extensions import TypeIs

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "Err",
    "Ok",
    "Result",
    "UnwrapError",
    "collect",
    "from_dict",
    "gather",
    "is_err",
    "is_ok",
    "partition",
    "to_dict",
]

T = TypeVar("T")
E = TypeVar("E")
T_co = TypeVar("T_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)
U = TypeVar("U")
F = TypeVar("F")


class Ok(_result.Ok[T_co], Generic[T_co]):
    """Success, holding the value."""

    __slots__ = ()
    __match_args__ = ("ok_value",)

    def match(self, *, ok: Callable[[T_co], U], err: Callable[[Any], Any]) -> U:
        """Return ``ok(value)``."""
        return ok(self._value)

    def map(self, op: Callable[[T_co], U]) -> Ok[U]:
        """Return ``Ok(op(value))``."""
        return Ok(op(self._value))

    async def map_async(self, op: Callable[[T_co], Awaitable[U]]) -> Ok[U]:
        """Return ``Ok(await op(value))``."""
        return Ok(await op(self._value))

    def map_err(self, op: object) -> Ok[T_co]:
        """Return itself."""
        return self

    def and_then(self, op: Callable[[T_co], Result[U, E]]) -> Result[U, E]:  # type: ignore[override]
        """Return ``op(value)``, itself a result."""
        return op(self._value)

    async def and_then_async(self, op: Callable[[T_co], Awaitable[Result[U, E]]]) -> Result[U, E]:  # type: ignore[override]
        """Return ``await op(value)``, itself a result."""
        return await op(self._value)

    def or_else(self, op: object) -> Ok[T_co]:
        """Return itself."""
        return self

    def inspect(self, op: Callable[[T_co], Any]) -> Ok[T_co]:
        """Call ``op(value)`` and return itself."""
        op(self._value)
        return self

    def inspect_err(self, op: Callable[[Any], Any]) -> Ok[T_co]:
        """Return itself."""
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _core_schema(cls, "ok", source, handler)


class Err(_result.Err[E_co], Generic[E_co]):
    """Failure, holding the error."""

    __slots__ = ()
    __match_args__ = ("err_value",)

    def match(self, *, ok: Callable[[Any], Any], err: Callable[[E_co], U]) -> U:
        """Return ``err(error)``."""
        return err(self._value)

    def map(self, op: object) -> Err[E_co]:
        """Return itself."""
        return self

    async def map_async(self, op: object) -> Err[E_co]:
        """Return itself."""
        return self

    def map_err(self, op: Callable[[E_co], F]) -> Err[F]:
        """Return ``Err(op(error))``."""
        return Err(op(self._value))

    def and_then(self, op: object) -> Err[E_co]:
        """Return itself."""
        return self

    async def and_then_async(self, op: object) -> Err[E_co]:
        """Return itself."""
        return self

    def or_else(self, op: Callable[[E_co], Result[T, F]]) -> Result[T, F]:  # type: ignore[override]
        """Return ``op(error)``, itself a result."""
        return op(self._value)

    def inspect(self, op: Callable[[Any], Any]) -> Err[E_co]:
        """Return itself."""
        return self

    def inspect_err(self, op: Callable[[E_co], Any]) -> Err[E_co]:
        """Call ``op(error)`` and return itself."""
        op(self._value)
        return self

    def unwrap(self) -> NoReturn:
        """Raise :class:`UnwrapError`, chained to the error so that its text is not lost."""
        self._raise(f"Called `Result.unwrap()` on an `Err` value: {self._value!r}")

    def expect(self, message: str) -> NoReturn:
        """Raise :class:`UnwrapError` with ``message``, chained to the error."""
        self._raise(f"{message}: {self._value!r}")

    def _raise(self, message: str) -> NoReturn:
        cause = self._value if isinstance(self._value, BaseException) else None
        raise UnwrapError(cast("_result.Result[Any, Any]", self), message) from cause

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _core_schema(cls, "err", source, handler)


Result: TypeAlias = Ok[T] | Err[E]
"""Either ``Ok[T]`` or ``Err[E]``."""


def is_ok(value: Result[T, E]) -> TypeIs[Ok[T]]:
    """Tell whether it is an ``Ok``, narrowing the type for checkers."""
    return isinstance(value, _result.Ok)


def is_err(value: Result[T, E]) -> TypeIs[Err[E]]:
    """Tell whether it is an ``Err``, narrowing the type for checkers."""
    return isinstance(value, _result.Err)


def partition(results: Iterable[Result[T, E]]) -> tuple[list[T], list[E]]:
    """Split results into their values and their errors, each in the order given."""
    oks: list[T] = []
    errs: list[E] = []
    for item in results:
        if is_ok(item):
            oks.append(item.ok_value)
        elif is_err(item):
            errs.append(item.err_value)
    return oks, errs


def collect(results: Iterable[Result[T, E]]) -> Result[list[T], E]:
    """Return ``Ok`` of all the values, or the first ``Err``."""
    values: list[T] = []
    for item in results:
        if is_err(item):
            return item
        values.append(item.ok_value)
    return Ok(values)


async def gather(*awaitables: Awaitable[Result[T, E]]) -> Result[list[T], E]:
    """Await them together; all run to their end. ``Ok`` of the values in argument order, or the first ``Err``."""
    return collect(await asyncio.gather(*awaitables))


def to_dict(
    value: Result[T, E], *, ok: Callable[[T], Any] = lambda v: v, err: Callable[[E], Any] | None = None
) -> dict[str, Any]:
    """Return ``{"ok": …}`` or ``{"err": …}``, for caches and journals.

    Args:
        ok: turns the value into JSON values; the identity by default.
        err: turns the error into JSON values; its ``to_dict()`` by default, else its text.
    """
    if is_ok(value):
        return {"ok": ok(value.ok_value)}
    error = value.err_value
    if err is not None:
        return {"err": err(error)}
    own = getattr(error, "to_dict", None)
    return {"err": own() if callable(own) else str(error)}


def from_dict(data: dict[str, Any], *, ok: Callable[[Any], T], err: Callable[[Any], E]) -> Result[T, E]:
    """Read back what :func:`to_dict` wrote.

    Raises:
        ValueError: if ``data`` has not exactly one of the keys ``ok`` and ``err``.
    """
    if set(data) == {"ok"}:
        return Ok(ok(data["ok"]))
    if set(data) == {"err"}:
        return Err(err(data["err"]))
    raise ValueError(f"a result has exactly one key, 'ok' or 'err'; got {sorted(data)}")


def _core_schema(cls: type[Any], key: str, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    from typing import get_args

    from pydantic_core import core_schema

    args = get_args(source)
    inner = handler.generate_schema(args[0]) if args else core_schema.any_schema()
    from_json = core_schema.chain_schema(
        [
            core_schema.typed_dict_schema({key: core_schema.typed_dict_field(inner)}, extra_behavior="forbid"),
            core_schema.no_info_plain_validator_function(lambda d: cls(d[key])),
        ]
    )
    return core_schema.json_or_python_schema(
        json_schema=from_json,
        python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_json]),
        serialization=core_schema.plain_serializer_function_ser_schema(lambda r: {key: r._value}),
    )
