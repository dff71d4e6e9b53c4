"""The head of a reply, read only as far as somebody asks.

Names are compared without case. Nothing is validated here: the parser has accepted the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_LINES = re.compile(rb"([^:\r\n]+):[ \t]*([^\r\n]*)").findall


class Headers(Mapping[str, str]):
    """A reply's headers: a mapping of lower-case names to values, several values joined by ", "."""

    __slots__ = ("_low", "_map", "_raw")

    def __init__(self, raw: bytes) -> None:
        """Wraps a head.

        Args:
            raw: The status line and the header lines, each with its CRLF.
        """
        self._raw = raw
        self._low: bytes | None = None
        self._map: dict[str, str] | None = None

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """Names and values as received, in order."""
        lines: list[tuple[bytes, bytes]] = _LINES(self._raw, self._raw.find(b"\r\n") + 2)
        if b" \r" in self._raw or b"\t\r" in self._raw:
            lines = [(name, value.rstrip(b" \t")) for name, value in lines]
        return lines

    def find(self, name: bytes) -> bytes | None:
        """Returns the raw value of a header given in lower case, None when absent; the cheap way to read one."""
        low = self._low
        if low is None:
            low = self._low = self._raw.lower()
        key = b"\r\n%b:" % name
        start = low.find(key)
        if start < 0:
            return None
        values: list[bytes] = []
        while start >= 0:
            start += len(key)
            values.append(self._raw[start : low.find(b"\r\n", start)].strip(b" \t"))
            start = low.find(key, start)
        return values[0] if len(values) == 1 else b", ".join(values)

    def around(self, fragment: bytes) -> Headers | None:
        """Returns the lines from the first to the last that hold the fragment, or None: less to keep than the head."""
        low = self._low
        if low is None:
            low = self._low = self._raw.lower()
        at = low.find(fragment)
        if at < 0:
            return None
        start, end = max(low.rfind(b"\r\n", 0, at), 0), low.find(b"\r\n", low.rfind(fragment)) + 2
        return Headers(self._raw[start:end])

    def having(self, fragment: bytes) -> dict[str, str]:
        """Returns the headers whose name holds the fragment, by lower-case name; the cheap way to read a family."""
        raw, low = self._raw, self._low
        if low is None:
            low = self._low = raw.lower()
        found: dict[str, str] = {}
        at = low.find(fragment)
        while at >= 0:
            start, end = low.rfind(b"\n", 0, at) + 1, low.find(b"\r\n", at)
            colon = low.find(b":", start, end)
            if colon > at and start:  # not in a value, and not in the status line
                name, value = low[start:colon].decode("latin-1"), raw[colon + 1 : end].strip(b" \t").decode("latin-1")
                found[name] = f"{found[name]}, {value}" if name in found else value
            at = low.find(fragment, end)
        return found

    def get_list(self, name: str) -> list[str]:
        """Returns every value of a header, one per line received."""
        low = name.lower().encode("latin-1", "replace")
        return [value.decode("latin-1") for key, value in self.raw if key.lower() == low]

    def _mapping(self) -> dict[str, str]:
        if self._map is None:
            found: dict[str, str] = {}
            for raw_name, raw_value in self.raw:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._map = found
        return self._map

    def __getitem__(self, name: str) -> str:
        try:
            value = self.find(name.lower().encode("latin-1"))
        except UnicodeEncodeError:
            value = None
        if value is None:
            raise KeyError(name)
        return value.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping())

    def __len__(self) -> int:
        return len(self._mapping())

    def __repr__(self) -> str:
        return f"<Headers: {len(self)} names>"
