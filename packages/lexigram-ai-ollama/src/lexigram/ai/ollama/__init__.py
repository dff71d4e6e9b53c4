"""Ollama's native wire dialects and the vendor's row. Pure: no I/O, no third-party import."""

from lexigram.ai.ollama.vendors import vendors

__all__ = ["vendors"]
