"""Reading JSON that a model wrote almost right. Linear in the text; nothing is evaluated.

Tolerated: prose and Markdown fences around the value, comments, trailing and missing commas, single, curly and missing
quotes, unquoted keys, ``True``/``None``/``NaN``, raw line breaks in strings, and an end cut off.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["NotJSON", "read_json"]

MAX_DEPTH: Final = 200
_SPACE: Final = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*.*?(?:\*/|$)|\#[^\n]*)+", re.S)
_BARE: Final = re.compile(r"[^\s,:\[\]{}\"]+")
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$")
_WORDS: Final[dict[str, Any]] = {
    "true": True, "True": True, "false": False, "False": False, "null": None, "None": None, "undefined": None,
    "NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"),
}  # fmt: skip
_QUOTES: Final = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "`": "`"}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class NotJSON(ValueError):
    """The text holds no JSON value."""


def read_json(text: str, *, repair: bool = True) -> Any:
    """Return the JSON value in the text.

    The text as a whole is tried first, then the content of a Markdown fence, then the first object or array in it,
    and, with ``repair``, that one read tolerantly.

    Raises:
        NotJSON: when there is none.
    """
    stripped = text.strip().removeprefix("\ufeff")
    if not stripped:
        raise NotJSON("the text is empty")
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        pass
    body = _fenced(stripped)
    start = _first_bracket(body)
    if start < 0:
        raise NotJSON("there is no JSON object or array in the text")
    try:
        return json.JSONDecoder().raw_decode(body, start)[0]
    except (ValueError, RecursionError) as error:
        if not repair:
            raise NotJSON(str(error)) from None
    return _Reader(body, start).value(0)


def _fenced(text: str) -> str:
    opening = text.find("```")
    if opening < 0:
        return text
    first = _first_bracket(text)
    if 0 <= first < opening:
        return text
    line_end = text.find("\n", opening)
    if line_end < 0:
        return text[opening + 3 :]
    closing = text.rfind("\n```", line_end)
    return text[line_end + 1 : closing if closing > line_end else len(text)]


def _first_bracket(text: str) -> int:
    found = [i for i in (text.find("{"), text.find("[")) if i >= 0]
    return min(found, default=-1)


class _Reader:
    """A tolerant recursive reader; each character is looked at a bounded number of times."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise NotJSON("the value is nested too deeply")
        self.space()
        char = self.peek()
        if char == "{":
            return self.object(depth)
        if char == "[":
            return self.array(depth)
        if char in _QUOTES:
            return self.string()
        return self.word()

    def object(self, depth: int) -> dict[str, Any]:
        self.at += 1
        out: dict[str, Any] = {}
        while True:
            self.separators()
            char = self.peek()
            if char in ("", "}", "]"):
                self.at += char == "}"
                return out
            start = self.at
            key = self.string() if char in _QUOTES else str(self.bare())
            self.space()
            if self.peek() == ":":
                self.at += 1
                self.space()
                if self.peek() in ("", ",", "}", "]"):
                    if self.peek() != "":
                        out[key] = None
                    continue
                out[key] = self.value(depth + 1)
            elif self.at == start:
                self.at += 1

    def array(self, depth: int) -> list[Any]:
        self.at += 1
        out: list[Any] = []
        while True:
            self.separators()
            char = self.peek()
            if char in ("", "]", "}"):
                self.at += char == "]"
                return out
            start = self.at
            value = self.value(depth + 1)
            if self.at == start:
                self.at += 1
            else:
                out.append(value)

    def string(self) -> str:
        text = self.text
        close = _QUOTES[text[self.at]]
        self.at += 1
        out: list[str] = []
        start = self.at
        size = len(text)
        while self.at < size:
            char = text[self.at]
            if char == close and self.closes():
                out.append(text[start : self.at])
                self.at += 1
                return "".join(out)
            if char == "\\" and self.at + 1 < size:
                out.append(text[start : self.at])
                out.append(self.escape())
                start = self.at
            else:
                self.at += 1
        out.append(text[start:])
        return "".join(out)

    def closes(self) -> bool:
        """Whether the quote here ends the string: what follows must be structure, or the end."""
        at = self.at + 1
        end = min(len(self.text), at + 64)
        while at < end and self.text[at] in " \t\r\n":
            at += 1
        return (
            at >= len(self.text)
            or self.text[at] in ",:]}/#"
            or (self.text[at] in _QUOTES and "\n" in self.text[self.at : at])
        )

    def escape(self) -> str:
        char = self.text[self.at + 1]
        if char == "u":
            digits = self.text[self.at + 2 : self.at + 6]
            try:
                code = chr(int(digits, 16))
            except ValueError:
                self.at += 2
                return "u"
            self.at += 6
            return code
        self.at += 2
        return _ESCAPES.get(char, char)

    def word(self) -> Any:
        found = self.bare()
        if found in _WORDS:
            return _WORDS[found]
        if _NUMBER.match(found) and len(found) < 400:
            return float(found) if any(c in found for c in ".eE") else int(found)
        return found

    def bare(self) -> str:
        match = _BARE.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def separators(self) -> None:
        self.space()
        while self.peek() in (",", ":", ";") and self.peek():
            self.at += 1
            self.space()
