"""What all kinds of conformance share: behaviours as methods, and the claims that choose among them.

A kind is a subclass of :class:`Conformance` whose behaviours are marked with :func:`behaviour`. A user subclasses the
kind, says how its subject is made, and lists what it claims; pytest then collects every behaviour as a test. What is
not claimed is skipped with a reason that names it, so that a report shows what nobody has looked at.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection, Coroutine
from difflib import get_close_matches
from typing import Any, ClassVar, Final, TypeVar

import pytest

__all__ = ["Conformance", "UnknownClaimError", "behaviour", "check"]

S = TypeVar("S", bound="Conformance")
_PREFIX: Final = "test_"


class UnknownClaimError(TypeError):
    """A class claims a behaviour that its kind does not have."""


def behaviour(method: Callable[[S], Any]) -> Callable[[S], None]:
    """Mark a method ``test_<claim>`` as a behaviour. A coroutine is run by the suite itself: no plugin is needed."""

    def test(self: S) -> None:
        __tracebackhide__ = True
        if inspect.iscoroutinefunction(method):
            self.run(method(self))
        else:
            method(self)

    test.__name__ = test.__qualname__ = method.__name__
    test.__doc__ = method.__doc__
    test.__module__ = method.__module__
    test.__behaviour__ = True  # type: ignore[attr-defined]
    return test


def check(held: object, otherwise: str) -> None:
    """Fail with a text that says what was expected, and what came instead.

    Raises:
        AssertionError: if it does not hold. (Not an ``assert``: the kit's words must not depend on pytest's rewriting.)
    """
    __tracebackhide__ = True
    if not held:
        raise AssertionError(otherwise)


class Conformance:
    """The base of all kinds.

    Attributes:
        ALL: the names of all behaviours of the kind.
        claims: those that the subject claims; every one is a test ``test_<claim>``. Required.
        patience: seconds after which a behaviour that hangs has failed.
    """

    ALL: ClassVar[frozenset[str]] = frozenset()
    claims: ClassVar[Collection[str]]
    patience: ClassVar[float] = 60.0
    _behaviours: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take in the behaviours of a kind, or check the claims of a subject.

        Raises:
            UnknownClaimError: naming the wrong claim and the allowed ones.
        """
        super().__init_subclass__(**kwargs)
        own = {
            name.removeprefix(_PREFIX): member
            for name, member in vars(cls).items()
            if name.startswith(_PREFIX) and getattr(member, "__behaviour__", False)
        }
        cls._behaviours = {**cls._behaviours, **own}
        cls.ALL = frozenset(cls._behaviours)
        claims: Collection[str] | None = getattr(cls, "claims", None)
        if claims is None:
            return
        for claim in claims:
            if claim not in cls.ALL:
                raise UnknownClaimError(_unknown(cls, claim))
        for name, member in cls._behaviours.items():
            if name in claims:
                if name not in own:
                    setattr(cls, _PREFIX + name, member)
            else:
                setattr(cls, _PREFIX + name, _skipped(cls, name, member))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run an async behaviour in an event loop of its own."""
        asyncio.run(self._patiently(work))

    async def _patiently(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(self.patience) as limit:
                await work
        except TimeoutError:
            if limit.expired():
                raise AssertionError(f"it hangs: not done after {self.patience:g} s") from None
            raise


def _unknown(cls: type[Conformance], claim: object) -> str:
    near = get_close_matches(str(claim), cls.ALL, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"{cls.__name__}.claims: there is no behaviour {claim!r}{meant} Allowed: {', '.join(sorted(cls.ALL))}"


def _skipped(cls: type[Conformance], name: str, member: Any) -> Any:
    def test(self: Conformance) -> None:  # pragma: no cover - pytest does not run it
        raise AssertionError(f"{name!r} is not claimed")

    test.__name__ = test.__qualname__ = _PREFIX + name
    test.__doc__ = member.__doc__
    return pytest.mark.skip(reason=f"{cls.__name__} does not claim {name!r}")(test)
