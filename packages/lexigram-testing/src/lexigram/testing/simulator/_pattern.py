"""Text that a simple regular expression matches: literals, classes, groups, alternatives and quantifiers."""

from __future__ import annotations

import re
from random import Random
from typing import Final

__all__ = ["text_for"]

_CLASSES: Final = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyz_0123456789",
    "s": " ",
    "D": "abcdefghij",
    "W": "-. ",
    "S": "abcdefghij0123",
}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_PRINTABLE: Final = "".join(map(chr, range(33, 127)))
_QUANTIFIER: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}|[*+?]")


def text_for(pattern: str, random: Random) -> str | None:
    """Return a text in which the pattern is found, or None where the pattern is not simple enough."""
    try:
        text = _Reader(pattern, random).whole()
        return text if re.search(pattern, text) is not None else None
    except (ValueError, IndexError, re.error):
        return None


class _Reader:
    """Reads a pattern and writes a match at once."""

    def __init__(self, pattern: str, random: Random) -> None:
        self._pattern = pattern
        self._random = random
        self._at = 0

    def whole(self) -> str:
        text = self._alternatives()
        if self._at < len(self._pattern):
            raise ValueError(self._pattern)
        return text

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._pattern[self._at - 1]

    def _alternatives(self) -> str:
        found = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            found.append(self._sequence())
        return self._random.choice(found)

    def _sequence(self) -> str:
        out: list[str] = []
        while self._peek() not in ("", "|", ")"):
            start = self._at
            piece = self._atom()
            end = self._at
            low, high = self._quantifier()
            times = self._random.randint(low, high)
            after = self._at
            if times:
                out.append(piece)
            for _ in range(times - 1):
                self._at = start
                out.append(self._atom())
                assert self._at == end
            self._at = after
        return "".join(out)

    def _quantifier(self) -> tuple[int, int]:
        match = _QUANTIFIER.match(self._pattern, self._at)
        if match is None:
            return 1, 1
        self._at = match.end()
        if self._peek() in ("?", "+"):
            self._at += 1
        if match[0] in "*+?":
            return {"*": (0, 3), "+": (1, 4), "?": (0, 1)}[match[0]]
        low = int(match[1])
        high = low if match[2] is None else int(match[3]) if match[3] else low + 3
        return low, min(high, low + 8)

    def _atom(self) -> str:
        char = self._next()
        if char in "^$":
            return ""
        if char == ".":
            return self._random.choice("abcdefghijklmnopqrstuvwxyz")
        if char == "[":
            return self._random.choice(self._set())
        if char == "(":
            return self._group()
        if char == "\\":
            escaped = self._next()
            if escaped in "bBAZ":
                return ""
            return self._random.choice(self._escaped(escaped))
        if char in "*+?{":
            raise ValueError(self._pattern)
        return char

    def _group(self) -> str:
        if self._peek() == "?":
            match = re.compile(r"\?(?::|P?<\w+>)").match(self._pattern, self._at)
            if match is None:  # a look-around or a flag
                raise ValueError(self._pattern)
            self._at = match.end()
        text = self._alternatives()
        if self._next() != ")":
            raise ValueError(self._pattern)
        return text

    def _escaped(self, char: str) -> str:
        if char in _CLASSES:
            return _CLASSES[char]
        if char in "xu":
            width = 2 if char == "x" else 4
            self._at += width
            return chr(int(self._pattern[self._at - width : self._at], 16))
        if char.isalnum() and char not in _ESCAPES:
            raise ValueError(self._pattern)
        return _ESCAPES.get(char, char)

    def _set(self) -> str:
        negated = self._peek() == "^"
        if negated:
            self._at += 1
        chars = ""
        first = True
        while first or self._peek() != "]":
            first = False
            char = self._next()
            found = self._escaped(self._next()) if char == "\\" else char
            if len(found) == 1 and self._peek() == "-" and self._pattern[self._at + 1] != "]":
                self._at += 1
                end = self._next()
                end = self._escaped(self._next()) if end == "\\" else end
                found = "".join(map(chr, range(ord(found), min(ord(end), ord(found) + 512) + 1)))
            chars += found
        self._at += 1
        return "".join(c for c in _PRINTABLE if c not in chars) if negated else chars
