"""The Anthropic Messages dialect and the vendors that speak it. Pure: no I/O, no third-party import."""

from lexigram.ai.anthropic.vendors import vendors

__all__ = ["vendors"]
