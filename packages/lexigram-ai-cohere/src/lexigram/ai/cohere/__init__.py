"""The Cohere wire dialects and the vendor's row. Pure: no I/O, no third-party import."""

from lexigram.ai.cohere.vendors import vendors

__all__ = ["vendors"]
