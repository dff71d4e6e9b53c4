"""The embedded default: a real inference server in a child process, on a model that needs no download."""

from lexigram.ai.llm.local._protocol import LocalServer
from lexigram.ai.llm.local.server import LlamaServer
from lexigram.ai.llm.local.tiny import ensure_tiny_model

__all__ = ["LlamaServer", "LocalServer", "ensure_tiny_model"]
