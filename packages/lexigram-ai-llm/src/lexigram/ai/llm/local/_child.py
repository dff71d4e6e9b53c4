"""The child process: runs llama.cpp's HTTP server and ends when its parent does.

Started as a script by :mod:`lexigram.ai.llm.local._process`, isolated from the parent's environment variables for
Python; imports the standard library and ``xllamacpp`` only. Its orders come as one line of JSON on standard input,
so that the key is neither an argument nor an environment variable. It says where it listens in one line of JSON on
standard output; whatever llama.cpp prints goes to standard error.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import time
from typing import Any, BinaryIO

_PARENT_CHECK_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1
_REFUSED = 3


def main() -> None:
    """Read the orders, serve, and never return."""
    orders = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not orders:
        os._exit(0)
    answer = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    _die_with_parent(orders["parent"], sys.stdin.buffer)
    # Loading holds the interpreter's lock, which stops the watching threads: until it is done the kernel watches.
    _ask_kernel(signal.SIGKILL)
    if os.getppid() != orders["parent"]:
        os._exit(0)
    try:
        server = _serve(orders)
    except Exception as error:  # noqa: BLE001
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(_REFUSED)
    # The kernel's watch ends when the parent's *thread* that started us ends, so it must not outlast the loading.
    _ask_kernel(0)
    answer.write(json.dumps({"url": server.listening_address}).encode() + b"\n")
    answer.close()
    threading.Event().wait()


def _die_with_parent(parent: int, orders: BinaryIO) -> None:
    """End when standard input closes, or when the parent is gone though a fork of it holds our input open."""

    def until_input_closes() -> None:
        while orders.read(4096):
            pass
        os._exit(0)

    def until_parent_is_gone() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_SECONDS)
        os._exit(0)

    for watch in (until_input_closes, until_parent_is_gone):
        threading.Thread(target=watch, daemon=True).start()


def _ask_kernel(signal_number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def _serve(orders: dict[str, Any]) -> Any:
    """Load the model and start to listen; return llama.cpp's server."""
    sys.path.append(orders["packages"])
    engine = importlib.import_module("xllamacpp")
    params = engine.CommonParams()
    params.model.path = orders["model"]
    params.model_alias = {orders["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = orders["port"]
    params.api_keys = [orders["api_key"]]
    params.n_parallel = orders["slots"]
    params.n_ctx = orders["context"] * orders["slots"]
    # A kept-alive connection holds a thread of the HTTP server while it is idle.
    params.n_threads_http = orders["http_threads"]
    params.cont_batching = True
    params.warmup = False
    params.use_jinja = True
    params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = True
    params.ui = False
    params.offline = True
    params.fit_params = False
    params.cache_ram_mib = orders["cache_mib"]
    params.reasoning_format = engine.common_reasoning_format.COMMON_REASONING_FORMAT_DEEPSEEK
    params.verbosity = 1
    if orders["threads"]:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = orders["threads"]
    if orders["quiet_thoughts"]:
        params.enable_reasoning = 0
    if orders["embeddings"]:
        params.embedding = True
        params.pooling_type = engine.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return engine.Server(params)


if __name__ == "__main__":
    main()
