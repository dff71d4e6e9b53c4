"""Content codings, decoded in bounded steps.

A decoder is fed compressed bytes and asked for at most n decoded ones, so nothing inflates further than its reader
asks for. No sockets and no limits on totals here: the reply counts.
"""

from __future__ import annotations

import functools
import zlib
from typing import Any, Protocol

from ._errors import HttpProtocolError
from ._offload import optional_module

_STEP = 16 * 1024
_ZSTD_STEP = 256
_ZSTD_WINDOW = 8 * 1024 * 1024


class Decoder(Protocol):
    """One content coding, or a chain of them."""

    def feed(self, data: bytes) -> None:
        """Hands over compressed bytes."""
        ...

    def take(self, room: int) -> bytes:
        """Returns decoded bytes, about `room` at most; b"" when more input is needed."""
        ...

    def finish(self) -> None:
        """Checks at the end of the body that the coding ended as well."""
        ...


def bad_encoding(name: str) -> HttpProtocolError:
    """The error for bytes that are not what their Content-Encoding says."""
    return HttpProtocolError(f"body is not valid {name}", kind="encoding")


def _truncated(name: str) -> HttpProtocolError:
    return HttpProtocolError(f"{name} body ends before its end marker", kind="truncated")


class _Input:
    """Compressed bytes not yet consumed, handed out in steps that keep the decoder's own tails short."""

    __slots__ = ("_data", "_pos")

    def __init__(self) -> None:
        self._data = b""
        self._pos = 0

    def feed(self, data: bytes) -> None:
        self._data = self._data[self._pos :] + data if self._pos < len(self._data) else data
        self._pos = 0

    def peek(self, size: int) -> bytes:
        return self._data[self._pos : self._pos + size]

    def advance(self, used: int) -> None:
        self._pos += used

    @property
    def left(self) -> bool:
        return self._pos < len(self._data)


class _Inflate(Protocol):
    """What `zlib.decompressobj` makes."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class _Zlib:
    """gzip with any number of members, or deflate in its zlib and raw forms."""

    __slots__ = ("_input", "_name", "_obj", "_padding")

    def __init__(self, name: str) -> None:
        self._name = name
        self._input = _Input()
        self._obj: _Inflate | None = None
        self._padding = False

    def feed(self, data: bytes) -> None:
        self._input.feed(data)

    def take(self, room: int) -> bytes:
        obj = self._obj
        while True:
            if obj is None or obj.eof:
                obj = self._obj = self._begin()
                if obj is None or obj.eof:
                    return b""
            step = self._input.peek(_STEP)
            try:
                out = obj.decompress(step, room)
            except zlib.error:
                raise bad_encoding(self._name) from None
            self._input.advance(len(step) - len(obj.unused_data if obj.eof else obj.unconsumed_tail))
            if out:
                return out
            if not self._input.left and not obj.eof:
                return b""

    def _begin(self) -> _Inflate | None:
        """Starts the first or the next member; what there was before while there is no input for one."""
        if self._obj is not None:
            self._skip_padding()
        start = self._input.peek(2)
        if not start or (self._name == "deflate" and len(start) < 2):
            return self._obj
        if self._obj is not None and (self._name != "gzip" or self._padding):
            raise bad_encoding(self._name)
        wbits = 31
        if self._name == "deflate":
            wbits = 15 if start[0] & 15 == 8 and int.from_bytes(start) % 31 == 0 else -15
        return zlib.decompressobj(wbits)

    def _skip_padding(self) -> None:
        while (step := self._input.peek(_STEP)) and not step[0]:
            self._padding = True
            self._input.advance(len(step) - len(step.lstrip(b"\0")))

    def finish(self) -> None:
        if self._input.left if self._obj is None else not self._obj.eof:
            raise _truncated(self._name)


class _Brotli:
    __slots__ = ("_any", "_input", "_module", "_obj")

    def __init__(self, module: Any) -> None:
        self._module = module
        self._obj: Any = module.Decompressor()
        self._input = _Input()
        self._any = False

    def feed(self, data: bytes) -> None:
        self._input.feed(data)

    def take(self, room: int) -> bytes:
        obj = self._obj
        while True:
            try:
                if not obj.can_accept_more_data():
                    out: bytes = obj.process(b"", output_buffer_limit=room)
                elif self._input.left:
                    if obj.is_finished():
                        raise bad_encoding("br")
                    step = self._input.peek(_STEP)
                    self._input.advance(len(step))
                    self._any = True
                    out = obj.process(step, output_buffer_limit=room)
                else:
                    return b""
            except self._module.error:
                raise bad_encoding("br") from None
            if out:
                return out

    def finish(self) -> None:
        if self._any and not self._obj.is_finished():
            raise _truncated("br")


class _Zstd:
    """Zstandard frames; the binding bounds no output, so its input is: 4 bytes make a block of at most 128 KiB."""

    __slots__ = ("_any", "_eof", "_input", "_maker", "_module", "_obj")

    def __init__(self, module: Any) -> None:
        self._module = module
        self._maker: Any = module.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._obj: Any = self._maker.decompressobj()
        self._input = _Input()
        self._any = self._eof = False

    def feed(self, data: bytes) -> None:
        self._input.feed(data)

    def take(self, room: int) -> bytes:
        del room
        while self._input.left:
            step = self._input.peek(_ZSTD_STEP)
            if self._eof:
                self._obj, self._eof = self._maker.decompressobj(), False
            self._any = True
            try:
                out: bytes = self._obj.decompress(step)
            except self._module.ZstdError:
                raise bad_encoding("zstd") from None
            self._eof = bool(self._obj.eof)
            self._input.advance(len(step) - len(self._obj.unused_data) if self._eof else len(step))
            if out:
                return out
        return b""

    def finish(self) -> None:
        if self._any and not self._eof:
            raise _truncated("zstd")


class _Chain:
    """Two codings, the outer one decoded first."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, outer: Decoder, inner: Decoder) -> None:
        self._outer, self._inner = outer, inner

    def feed(self, data: bytes) -> None:
        self._outer.feed(data)

    def take(self, room: int) -> bytes:
        while True:
            if out := self._inner.take(room):
                return out
            if not (data := self._outer.take(_STEP)):
                return b""
            self._inner.feed(data)

    def finish(self) -> None:
        self._outer.finish()
        self._inner.finish()


@functools.cache
def _brotli() -> Any:
    module = optional_module("brotli")
    # Before 1.2 the binding inflates without a bound.
    return module if module is not None and hasattr(module.Decompressor, "can_accept_more_data") else None


@functools.cache
def _zstandard() -> Any:
    return optional_module("zstandard")


@functools.cache
def decodable() -> tuple[str, ...]:
    """The content codings this process can decode, in order of preference."""
    names = ["gzip", "deflate"]
    if _brotli() is not None:
        names.append("br")
    if _zstandard() is not None:
        names.append("zstd")
    return tuple(names)


@functools.cache
def accept_encoding() -> bytes:
    """The value of Accept-Encoding: exactly what can be decoded."""
    return ", ".join(decodable()).encode("ascii")


def _single(name: str) -> Decoder:
    if name in ("gzip", "x-gzip"):
        return _Zlib("gzip")
    if name == "deflate":
        return _Zlib("deflate")
    if name == "br" and (brotli := _brotli()) is not None:
        return _Brotli(brotli)
    if name == "zstd" and (zstandard := _zstandard()) is not None:
        return _Zstd(zstandard)
    raise HttpProtocolError("the reply's Content-Encoding is not one that was offered", kind="encoding")


def make_decoder(value: str, most: int) -> Decoder | None:
    """Builds the decoder for a Content-Encoding value.

    Args:
        value: The header's value, all its lines joined by commas.
        most: How many codings may be stacked.

    Returns:
        None when the body is not encoded.

    Raises:
        HttpProtocolError: kind "encoding", for unknown codings or too many of them.
    """
    names = [name for part in value.lower().split(",") if (name := part.strip()) and name != "identity"]
    if len(names) > most:
        raise HttpProtocolError(f"{len(names)} stacked content codings, at most {most} allowed", kind="encoding")
    decoder: Decoder | None = None
    for name in names:
        inner = _single(name)
        decoder = inner if decoder is None else _Chain(inner, decoder)
    return decoder
