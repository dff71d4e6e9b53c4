"""One request and its reply, and the JSON that a recording keeps of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Asked", "End", "Exchange", "Failure", "from_json", "meaning", "to_json"]

End: TypeAlias = Literal["complete", "left", "failed"]
"""How the reading of a body ended: at its end, because the reader had left, or by a failure."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says.

    Attributes:
        method: the method.
        url: the whole address.
        headers: names in lower case.
        body: the whole body.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Asked {self.method}, {len(self.body)} bytes>"


@dataclass(frozen=True, slots=True)
class Failure:
    """How the transport failed.

    Attributes:
        kind: the class of httpx's exception.
        text: its words.
        cause: the operating system's error behind it, by its class's name, or None.
    """

    kind: str
    text: str
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came back.

    Attributes:
        asked: the request.
        status: the HTTP status, or None where no reply came.
        headers: of the reply, names in lower case.
        pieces: the body as it came, content encoding undone.
        end: how the reading ended.
        failure: of the transport, where it failed.
    """

    asked: Asked
    status: int | None
    headers: Mapping[str, str]
    pieces: tuple[bytes, ...]
    end: End
    failure: Failure | None = None

    def __repr__(self) -> str:
        return f"<Exchange {self.asked.method} {self.status}, {len(self.pieces)} pieces>"


def meaning(body: bytes) -> Any:
    """Return what decides whether two bodies are the same: the JSON value, or the bytes of what is not JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return body


def to_json(exchange: Exchange) -> dict[str, Any]:
    """Return the exchange as a recording keeps it."""
    asked = exchange.asked
    request: dict[str, Any] = {"method": asked.method, "url": asked.url, "headers": dict(asked.headers)}
    if asked.body:
        said = meaning(asked.body)
        request |= {"body": _piece_out(said)} if isinstance(said, bytes) else {"json": said}
    kept: dict[str, Any] = {"request": request}
    if exchange.status is not None:
        pieces = [_piece_out(piece) for piece in exchange.pieces]
        kept["response"] = {"status": exchange.status, "headers": dict(exchange.headers), "body": pieces}
        kept["response"]["end"] = exchange.end
    if (failure := exchange.failure) is not None:
        kept["failure"] = {"kind": failure.kind, "text": failure.text, "cause": failure.cause}
    return kept


def from_json(kept: Mapping[str, Any]) -> Exchange:
    """Return the exchange that a recording keeps.

    Raises:
        KeyError, TypeError, ValueError: where it is not one.
    """
    request, response, failure = kept["request"], kept.get("response"), kept.get("failure")
    body = _piece_in(request["body"]) if "body" in request else b""
    if "json" in request:
        body = json.dumps(request["json"], ensure_ascii=False).encode()
    return Exchange(
        Asked(request["method"], request["url"], request["headers"], body),
        response["status"] if response else None,
        response["headers"] if response else {},
        tuple(_piece_in(piece) for piece in response["body"]) if response else (),
        response["end"] if response else "failed",
        Failure(failure["kind"], failure["text"], failure["cause"]) if failure else None,
    )


def _piece_out(data: bytes) -> str | list[str] | dict[str, str]:
    """Text as it is, one string a line where it has several; base64 for what is not UTF-8."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return text if len(lines) == 1 else [line for line in lines if line]


def _piece_in(kept: str | Sequence[str] | Mapping[str, str]) -> bytes:
    if isinstance(kept, str):
        return kept.encode()
    if isinstance(kept, Mapping):
        return base64.b64decode(kept["base64"], validate=True)
    return "".join(kept).encode()
