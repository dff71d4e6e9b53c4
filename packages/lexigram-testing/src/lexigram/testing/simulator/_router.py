"""Which wire a path belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from lexigram.testing.simulator._wire import Route, Wire

__all__ = ["Match", "Router"]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request belongs.

    Attributes:
        wire: the wire; where no route fits, the one that words the failure.
        route: the route, or None.
        params: what the route's pattern named.
        path: the path without the vendor's prefix.
    """

    wire: Wire
    route: Route | None
    params: Mapping[str, str]
    path: str


class Router:
    """Finds routes. A path that begins with a vendor's name is its own; any other is the first wire's that has it."""

    def __init__(self, wires: Sequence[Wire]) -> None:
        self._first: dict[str, Wire] = {}
        self._exact: dict[tuple[str, str], tuple[Wire, Route]] = {}
        self._patterns: list[tuple[Wire, Route]] = []
        for wire in wires:
            self._first.setdefault(wire.vendor, wire)
            for route in wire.routes:
                if route.regex is None:
                    self._exact[route.method, f"/{wire.vendor}{route.pattern}"] = (wire, route)
                    self._exact.setdefault((route.method, route.pattern), (wire, route))
                else:
                    self._patterns.append((wire, route))
        self._default = wires[0]

    def find(self, method: str, path: str, query: Mapping[str, str]) -> Match:
        """Return where a request belongs; ``path`` is still percent-encoded."""
        head, _, rest = path[1:].partition("/")
        vendor = head if head in self._first else None
        shorter = path if vendor is None else f"/{rest}"
        exact = self._exact.get((method, path))
        if exact is not None:
            return Match(*exact, {}, shorter)
        for wire, route in self._patterns:
            if route.method != method or route.regex is None or vendor not in (None, wire.vendor):
                continue
            match = route.regex.fullmatch(shorter)
            if match is not None and (route.query is None or query.get(route.query[0]) == route.query[1]):
                return Match(wire, route, {name: unquote(text) for name, text in match.groupdict().items()}, shorter)
        return Match(self._default if vendor is None else self._first[vendor], None, {}, shorter)

    def knows(self, path: str, query: Mapping[str, str]) -> bool:
        """Whether the path has a route, with whatever method."""
        return any(self.find(method, path, query).route is not None for method in ("GET", "POST", "DELETE"))
