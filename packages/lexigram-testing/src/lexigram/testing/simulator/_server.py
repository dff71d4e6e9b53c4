"""The simulator on a socket. Needs uvicorn, which comes with the extra ``simulator``."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from lexigram.contracts.ai.errors import LLMConfigurationError

__all__ = ["in_thread", "serving"]


@contextlib.asynccontextmanager
async def serving(app: Any, host: str, port: int) -> AsyncIterator[str]:
    """Serve an ASGI application while the block runs; yields its URL.

    Raises:
        LLMConfigurationError: where uvicorn is missing.
        OSError: where the port is taken.
    """
    try:
        import uvicorn
    except ImportError:
        raise LLMConfigurationError(
            "the simulator needs uvicorn to listen on a socket", hint='pip install "lexigram-testing[simulator]"'
        ) from None

    class Quiet(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Leave the signals to whoever runs the loop."""
            yield

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # Accepted sockets inherit it; without it head and body of a small reply are 40 ms apart.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=0,
    )
    server = Quiet(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn tells by a flag only
            await asyncio.sleep(0.002)
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


@contextlib.contextmanager
def in_thread(app: Any, host: str, port: int) -> Iterator[str]:
    """Serve an ASGI application from a thread while the block runs; yields its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    server = serving(app, host, port)
    try:
        url = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        try:
            yield url
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
