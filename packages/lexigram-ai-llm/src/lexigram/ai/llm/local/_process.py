"""One run of the child process: how it is started, listened to, and ended. Bound to no event loop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

__all__ = ["ServerProcess"]

_SCRIPT: Final = Path(__file__).with_name("_child.py")
_KEPT_LINES: Final = 40
_LINE_BYTES: Final = 2000
_REFUSED: Final = 3
_STAMP: Final = re.compile(r"^[\d.]+ [A-Z] +")
"""The time and level that llama.cpp puts before each line."""


class ServerProcess:
    """A started child. Only the process that started it ends it or asks for its exit code; a fork of that one just
    uses the server.

    Args:
        orders: what the child shall do; goes to its standard input.
        secret: a text that is masked in what the child prints.
    """

    def __init__(self, orders: Mapping[str, Any], *, secret: str) -> None:
        self._owner = os.getpid()
        self._secret = secret
        self._log: deque[str] = deque(maxlen=_KEPT_LINES)
        self._url: str | None = None
        self._popen = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is the application's to handle
        )
        self._readers = [
            threading.Thread(target=self._listen, args=(self._popen.stdout,), name="llama-server-url", daemon=True),
            threading.Thread(target=self._drain, args=(self._popen.stderr,), name="llama-server-log", daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._send({**orders, "parent": self._owner})

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._popen.pid

    @property
    def owned(self) -> bool:
        """Whether this process started the child, rather than being a fork of the one that did."""
        return os.getpid() == self._owner

    @property
    def url(self) -> str | None:
        """Where the child listens, without a path; None until it has said so."""
        return self._url

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and in a fork; the negative of the signal's number if one ended it."""
        return self._popen.poll() if self.owned else None

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        if self.owned:
            return self._popen.poll() is not None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    @property
    def refused(self) -> bool:
        """Whether it ended because llama.cpp could not do what was ordered."""
        return self.exit_code == _REFUSED

    @property
    def log(self) -> tuple[str, ...]:
        """The last lines that it printed, oldest first, without the secret."""
        if self.ended and self.owned:
            self._finish_reading()
        return tuple(self._log)

    def describe_end(self) -> str:
        """Return how it ended, for people."""
        code = self.exit_code
        if code is None:
            return "no exit code known"
        if code >= 0:
            return f"exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        return f"exit code {code}, killed by signal {-code} {name}"

    def kill(self) -> None:
        """End it now, without waiting. It holds nothing that would need saving."""
        if self.owned:
            self._popen.kill()

    def reap(self) -> None:
        """Wait until it has ended, and close its pipes. To be called after :meth:`kill`."""
        if not self.owned:
            self._popen.returncode = 0  # not ours: keeps ``Popen`` from calling it forgotten
            return
        self._popen.wait()
        self._finish_reading()
        if self._popen.stdin is not None and not self._popen.stdin.closed:
            self._popen.stdin.close()

    def _send(self, orders: Mapping[str, Any]) -> None:
        pipe = self._popen.stdin
        if pipe is None:
            raise RuntimeError("the child has no standard input")
        try:
            pipe.write(json.dumps(orders).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # it died at once; its exit code and last words say why

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            line = pipe.readline(_LINE_BYTES)
            if line:
                self._url = json.loads(line)["url"]

    def _drain(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(_LINE_BYTES):
                text = _STAMP.sub("", line.decode(errors="replace").rstrip())
                self._log.append(text.replace(self._secret, "**********"))

    def _finish_reading(self) -> None:
        for reader in self._readers:
            reader.join(timeout=1.0)
