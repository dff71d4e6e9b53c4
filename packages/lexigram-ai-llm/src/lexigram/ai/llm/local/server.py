"""llama.cpp's own HTTP server as a child of this process: started, watched and ended here."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from lexigram.ai.llm.local._options import check_int, check_model, check_number, read_options
from lexigram.ai.llm.local._probe import ask_health
from lexigram.ai.llm.local._process import ServerProcess
from lexigram.ai.llm.local.tiny import ensure_tiny_model
from lexigram.contracts.ai.errors import LLMConfigurationError, LLMTimeoutError, ProviderConnectionError
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.values import Secret

if TYPE_CHECKING:
    from lexigram.ai.llm.local._protocol import LocalServer

__all__ = ["LlamaServer"]

_PROVIDER: Final = "llamacpp"
_POLL_SECONDS: Final = 0.005
_HTTP_THREADS: Final = 256
_PROMPT_CACHE_MIB: Final = 256
_SYNTHETIC_NAMES: Final = ("", "tiny")


class LlamaServer:
    """llama.cpp's HTTP server on a free port of the loopback interface, behind a random key.

    It runs in a child process that ends with this one, however this one ends. After a crash it stays down:
    :meth:`ensure_running` says how it died, and :meth:`restart` brings it back at the same address. It may be used
    from any event loop, from threads, and from forks of the process that started it; only that process ends it.

    Args:
        model: a GGUF file; the tiny synthetic model when None.
        context: tokens that one call may use, question and answer together. Memory is kept for ``slots`` times as many.
        slots: calls that are served at the same time; more wait their turn.
        embeddings: whether it also serves embeddings.
        startup_timeout: seconds until it must answer; large models take their time to load.
        alias: the name under which it serves the model; the file's name, or ``tiny``, when None.
        cache_dir: where the tiny model is kept; see :func:`.ensure_tiny_model`.

    Raises:
        LLMConfigurationError: for a value that cannot be.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        *,
        context: int = 8192,
        slots: int = 4,
        embeddings: bool = False,
        startup_timeout: float = 60.0,
        alias: str | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        self._model = Path(model).expanduser() if model is not None else None
        self._context = check_int("context", context, low=64)
        self._slots = check_int("slots", slots, low=1, high=256)
        self._embeddings = embeddings
        self._startup_timeout = check_number("startup_timeout", startup_timeout)
        self._cache_dir = cache_dir
        self._api_key = Secret(secrets.token_urlsafe(32))
        self._model_name = alias or (self._model.stem if self._model is not None else "tiny")
        self._process: ServerProcess | None = None
        self._ready = False
        self._port = 0
        self._lock = threading.Lock()
        self._finalizer: weakref.finalize[[ServerProcess], LlamaServer] | None = None

    @classmethod
    def from_config(cls, model: str | None, extra: Mapping[str, object]) -> Self:
        """Return a server, not yet started, for the settings of a client.

        Args:
            model: path of a GGUF file; None, ``""`` or ``"tiny"`` for the synthetic model.
            extra: ``context``, ``slots``, ``embeddings``, ``startup_timeout``, ``alias``, ``cache_dir``; texts are
                read as the numbers and flags that they stand for.

        Raises:
            LLMConfigurationError: naming the setting that is wrong, and what is allowed.
        """
        path = None if model is None or model in _SYNTHETIC_NAMES else Path(model)
        return cls(path, **read_options(extra))

    # -- what it is

    @property
    def base_url(self) -> str:
        """Where it answers, e.g. ``http://127.0.0.1:40123/v1``."""
        return f"{self._address()}/v1"

    @property
    def api_key(self) -> Secret:
        """The key that it asks for; the same after a restart."""
        return self._api_key

    @property
    def model_name(self) -> str:
        """The name under which it serves its model."""
        return self._model_name

    @property
    def synthetic(self) -> bool:
        """Whether the model is the tiny one, which knows nothing."""
        return self._model is None

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None when it is not started."""
        return self._process.pid if self._process is not None else None

    @property
    def log(self) -> tuple[str, ...]:
        """The last lines that the child printed, oldest first."""
        return self._process.log if self._process is not None else ()

    @property
    def crash(self) -> ProviderConnectionError | None:
        """How the child died, or None while it runs or is not started."""
        process = self._process
        if process is None or not process.ended:
            return None
        log = process.log
        words = f"; its last words: {log[-1]}" if log else "; it printed nothing"
        return ProviderConnectionError(
            f"the local llama.cpp server (pid {process.pid}) died: {process.describe_end()}{words}",
            provider=_PROVIDER,
            model=self._model_name,
            retryable=False,
            hint="`await server.restart()` brings it back; if it dies again, try a smaller context or another model",
            details={"exit_code": process.exit_code, "log": list(log)},
        )

    def ensure_running(self) -> None:
        """Return if it runs.

        Raises:
            ProviderConnectionError: if it died: its exit code, its last words and what to do.
            RuntimeError: if it was not started.
        """
        if self._process is None:
            raise RuntimeError("the local server is not started: `await server.start()` first")
        crash = self.crash
        if crash is not None:
            raise crash

    def __repr__(self) -> str:
        if self._process is None:
            state = "not started"
        else:
            state = "dead" if self._process.ended else f"at {self._process.url or 'no address yet'}"
        return f"<LlamaServer {self._model_name!r} {state}>"

    # -- life

    async def start(self) -> Self:
        """Return once it answers. Does nothing when it runs already; several may wait for the same start.

        Raises:
            LLMConfigurationError: if xllamacpp is not installed, or the model cannot be loaded.
            LLMTimeoutError: if it is not ready within ``startup_timeout``.
            ProviderConnectionError: if it died, now or earlier.
        """
        process, spawned = self._process, False
        if process is None:
            orders = await asyncio.get_running_loop().run_in_executor(None, self._orders)
            process, spawned = self._spawn(orders)
        elif self._ready:
            self.ensure_running()
            return self
        try:
            await self._until_ready(process)
        except BaseException:
            if spawned:
                await self._end(process)
            raise
        return self

    async def stop(self) -> None:
        """End it; calls in flight break off. Safe to call again. In a fork it only lets go of it."""
        process = self._process
        if process is not None:
            await self._end(process)

    async def _end(self, process: ServerProcess) -> None:
        with self._lock:
            if self._process is not process:
                return
            finalizer, self._finalizer = self._finalizer, None
            self._process, self._ready = None, False
        if finalizer is not None:
            finalizer.detach()
        process.kill()
        try:
            while process.owned and not process.ended:  # noqa: ASYNC110 - a process's end sets no event of this loop
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            process.reap()

    async def restart(self) -> Self:
        """Start it anew, dead or alive, with the same address and key."""
        await self.stop()
        return await self.start()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def health(self, timeout: float = 5.0) -> HealthCheckResult:
        """Return how it is, within ``timeout`` seconds; never raises for a failure."""
        began = time.perf_counter()
        status, message = await self._verdict(timeout)
        return HealthCheckResult(
            component=f"{_PROVIDER}:{self._model_name}",
            status=status,
            message=message,
            duration_ms=(time.perf_counter() - began) * 1000,
            details={"pid": self.pid, "synthetic": self.synthetic},
        )

    async def _verdict(self, timeout: float) -> tuple[HealthStatus, str | None]:
        if self._process is None or self._process.url is None:
            return HealthStatus.UNKNOWN, "the local server is not started"
        crash = self.crash
        if crash is not None:
            return HealthStatus.UNHEALTHY, crash.message
        try:
            code = await ask_health(self._process.url, timeout)
        except (OSError, TimeoutError) as error:
            return HealthStatus.UNHEALTHY, f"the local server does not answer: {error or 'no reply in time'}"
        if code == 200:
            return HealthStatus.HEALTHY, None
        return HealthStatus.DEGRADED, f"the local server answers {code}"

    def _address(self) -> str:
        url = self._process.url if self._process is not None else None
        if url is None:
            raise RuntimeError("the local server has no address before it is started: `await server.start()` first")
        return url

    def _orders(self) -> dict[str, Any]:
        spec = importlib.util.find_spec("xllamacpp")
        if spec is None or spec.origin is None:
            raise LLMConfigurationError(
                "provider 'llamacpp' runs its server with the package xllamacpp, which is not installed",
                provider=_PROVIDER,
                hint='pip install "lexigram-ai-llm[local]"',
            )
        model = self._model
        if model is None:
            model = ensure_tiny_model(self._cache_dir)
        else:
            check_model(model)
        return {
            "packages": str(Path(spec.origin).parents[1]),
            "model": str(model),
            "alias": self._model_name,
            "api_key": self._api_key.reveal(),
            "port": self._port,
            "context": self._context,
            "slots": self._slots,
            "embeddings": self._embeddings,
            "http_threads": _HTTP_THREADS,
            "quiet_thoughts": self.synthetic,
            "threads": 1 if self.synthetic else None,
            "cache_mib": _PROMPT_CACHE_MIB,
        }

    def _spawn(self, orders: Mapping[str, Any]) -> tuple[ServerProcess, bool]:
        """Return the child and whether this call started it."""
        with self._lock:
            if self._process is not None:
                return self._process, False
            process = self._process = ServerProcess(orders, secret=self._api_key.reveal())
            self._finalizer = weakref.finalize(self, _end_forgotten, process)
            return process, True

    async def _until_ready(self, process: ServerProcess) -> None:
        deadline = time.monotonic() + self._startup_timeout
        while not await self._answers(process, deadline):
            if process.ended:
                raise self._start_failure(process)
            if time.monotonic() >= deadline:
                raise LLMTimeoutError(
                    f"the local llama.cpp server was not ready within {self._startup_timeout:g} s",
                    phase="connect",
                    seconds=self._startup_timeout,
                    provider=_PROVIDER,
                    model=self._model_name,
                    hint="raise startup_timeout, or use a smaller model",
                    details={"log": list(process.log)},
                )
            await asyncio.sleep(_POLL_SECONDS)
        self._port = urlsplit(process.url or "").port or 0
        self._ready = True

    async def _answers(self, process: ServerProcess, deadline: float) -> bool:
        if process.url is None:
            return False
        try:
            return await ask_health(process.url, max(deadline - time.monotonic(), _POLL_SECONDS)) == 200
        except (OSError, TimeoutError):
            return False

    def _start_failure(self, process: ServerProcess) -> LLMConfigurationError | ProviderConnectionError:
        log = process.log
        told = log[0] if log else "it printed nothing"
        details = {"exit_code": process.exit_code, "log": list(log)}
        if process.refused:
            what = f"the model {self._model}" if self._model is not None else "the tiny model"
            return LLMConfigurationError(
                f"llama.cpp cannot serve {what}: {told}",
                provider=_PROVIDER,
                model=self._model_name,
                hint="check that the model is a whole GGUF file; details['log'] has all that llama.cpp said",
                details=details,
            )
        return ProviderConnectionError(
            f"the local llama.cpp server died while starting: {process.describe_end()}; {told}",
            provider=_PROVIDER,
            model=self._model_name,
            retryable=False,
            hint="try a smaller context, fewer slots or another model",
            details=details,
        )


def _end_forgotten(process: ServerProcess) -> None:
    forgotten = process.owned and not process.ended
    process.kill()
    process.reap()
    if forgotten:
        warnings.warn(f"a local llama.cpp server (pid {process.pid}) was not stopped", ResourceWarning, stacklevel=2)


if TYPE_CHECKING:
    _checked: type[LocalServer] = LlamaServer
