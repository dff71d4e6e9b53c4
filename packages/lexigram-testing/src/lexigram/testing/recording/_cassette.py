"""The file of a recording: what is in it, what has been played, what is new."""

from __future__ import annotations

import json
import os
import secrets as random
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, get_args

from lexigram.contracts.values import Sealed
from lexigram.testing.recording._exchange import Asked, End, Exchange, Failure, from_json, to_json
from lexigram.testing.recording._match import differences, same
from lexigram.testing.recording._scrub import LeftoverSecretError, Scrubber

if TYPE_CHECKING:
    import httpx  # noqa: TID251

__all__ = ["MODES", "Cassette", "RecordMode", "RecordingError", "Slot"]

RecordMode: TypeAlias = Literal["none", "once", "new", "all"]
"""``none`` plays only; ``once`` records where there is no file; ``new`` adds what is not there; ``all`` begins anew."""

MODES: Final[tuple[RecordMode, ...]] = get_args(RecordMode)

_FORMAT: Final = 1
_NEAREST: Final = 3


class RecordingError(AssertionError):
    """A recording cannot be read, written or matched. Not a transport's failure, so that no client takes it for one."""


class Slot:
    """Where an exchange that is being recorded collects what comes."""

    __slots__ = ("_asked", "_pieces", "end", "failure", "headers", "status")

    def __init__(self, asked: Asked) -> None:
        self._asked = Sealed(asked)
        self._pieces: Sealed[list[bytes]] = Sealed([])
        self.status: int | None = None
        self.headers: Sealed[dict[str, str]] = Sealed({})
        self.end: End = "left"
        self.failure: Failure | None = None

    def add(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self._pieces.reveal().append(piece)

    def fail(self, failure: Failure) -> None:
        """Say that the transport failed."""
        self.end, self.failure = "failed", failure

    def exchange(self) -> Exchange:
        """Return what has come, secrets and all."""
        headers, pieces = self.headers.reveal(), tuple(self._pieces.reveal())
        return Exchange(self._asked.reveal(), self.status, headers, pieces, self.end, self.failure)


class Cassette:
    """One recording. A context manager: the file is written at the end of the block.

    Args:
        path: the file; written with mode 0600, whole or not at all.
        mode: see :data:`RecordMode`.
        secrets: texts that must not be recorded; the credentials of the requests are found by themselves.

    Raises:
        RecordingError: where the file is not a recording. One that is not there is missed by the first request.
    """

    def __init__(self, path: Path, mode: RecordMode = "none", *, secrets: Iterable[str] = ()) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; allowed: {', '.join(MODES)}")
        exists = path.exists()
        self._path = path
        self._recording = mode in ("new", "all") or (mode == "once" and not exists)
        self._scrubber = Scrubber(secrets)
        self._lock = threading.Lock()
        self._slots: list[Slot] = []
        self._kept = _load(path) if exists and mode != "all" else []
        self._played = [False] * len(self._kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()

    def __repr__(self) -> str:
        return f"<Cassette {self._path.name}: {len(self._kept)} kept, {len(self._slots)} new>"

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def recording(self) -> bool:
        """Whether a request that is not in the recording goes out and is added."""
        return self._recording

    def hide(self, *secrets: str) -> None:
        """Keep these out of the recording too, e.g. a project's name."""
        for secret in secrets:
            self._scrubber.hide(secret)

    def transport(self, inner: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncBaseTransport:
        """Return the transport to give to the code under test.

        Args:
            inner: sends what is recorded; httpx's own by default.

        Raises:
            ModuleNotFoundError: where httpx is not installed.
        """
        from lexigram.testing.recording._over_httpx import CassetteTransport

        return CassetteTransport(self, inner)

    def play(self, asked: Asked) -> Exchange | None:
        """Return the first exchange with this request that has not been played, or None where it is to be recorded.

        Raises:
            RecordingError: where there is none and none may be made, with the nearest ones' differences; where a
                secret cannot be taken out of the request.
        """
        with self._lock:
            self._scrubber.learn(asked.url, asked.headers)
            try:
                clean = self._scrubber.clean_request(asked)
            except LeftoverSecretError as error:
                raise RecordingError(f"{asked.method} request: {error}") from None
            for i, exchange in enumerate(self._kept):
                if not self._played[i] and same(clean, exchange.asked):
                    self._played[i] = True
                    return exchange
            if self._recording:
                return None
            raise RecordingError(self._missing(clean))

    def record(self, asked: Asked) -> Slot:
        """Return the place of an exchange that begins now."""
        slot = Slot(asked)
        with self._lock:
            self._slots.append(slot)
        return slot

    def forget(self, slot: Slot) -> None:
        """Drop an exchange that was broken off before anything came."""
        with self._lock:
            self._slots.remove(slot)

    def unplayed(self) -> list[str]:
        """Name the exchanges of the file that no request has asked for."""
        with self._lock:
            return [
                f"exchange {i + 1}: {exchange.asked.method} {exchange.asked.url}"
                for i, exchange in enumerate(self._kept)
                if not self._played[i]
            ]

    def assert_played(self) -> None:
        """Check that every recorded exchange has been asked for.

        Raises:
            RecordingError: naming those that have not.
        """
        if left := self.unplayed():
            raise RecordingError(f"{self._path.name} has exchanges that nobody asked for: {'; '.join(left)}")

    def save(self) -> None:
        """Write what is new, in the order of the requests; without anything new, nothing.

        Raises:
            RecordingError: where a secret cannot be taken out. Nothing is written then.
        """
        with self._lock:
            if not self._slots:
                return
            fresh = [slot.exchange() for slot in self._slots]
            for exchange in fresh:
                self._scrubber.learn(exchange.asked.url, exchange.asked.headers)
                self._scrubber.learn("", exchange.headers)
            try:
                kept = [*self._kept, *(self._scrubber.clean(exchange) for exchange in fresh)]
            except LeftoverSecretError as error:
                raise RecordingError(f"{self._path.name} is not written: {error}") from None
            document = {"format": _FORMAT, "exchanges": [to_json(exchange) for exchange in kept]}
            text = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
            if self._scrubber.is_in(text):
                raise RecordingError(f"{self._path.name} is not written: a secret would be in it")
            _write(self._path, text)
            self._slots.clear()
            self._kept, self._played = kept, [*self._played, *([True] * len(fresh))]

    def _missing(self, asked: Asked) -> str:
        said = f"no recording has {asked.method} {asked.url}"
        if not self._kept:
            where = "is empty" if self._path.exists() else "does not exist"
            return f"{said}: {self._path} {where}; record it with --lex-record=once"
        found = [(differences(asked, exchange.asked), i) for i, exchange in enumerate(self._kept)]
        nearest, i = min(found, key=lambda pair: (self._played[pair[1]], len(pair[0])))
        where = "; ".join(nearest[:_NEAREST]) or "the same, but it has been played already"
        more = f" and {len(nearest) - _NEAREST} more" if len(nearest) > _NEAREST else ""
        played = sum(self._played)
        return (
            f"{said} ({played} of {len(self._kept)} played). Nearest is exchange {i + 1} of {self._path.name}: "
            f"{where}{more}. If the change is meant, record anew with --lex-record=all"
        )


def _load(path: Path) -> list[Exchange]:
    try:
        document: Any = json.loads(path.read_bytes())
        if document["format"] != _FORMAT:
            raise RecordingError(f"{path} has format {document['format']!r}; this version reads {_FORMAT}")
        return [from_json(kept) for kept in document["exchanges"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingError(f"{path} is not a recording: {type(error).__name__}: {error}") from None


def _write(path: Path, data: bytes) -> None:
    """Write the whole file or nothing, for the owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{random.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
