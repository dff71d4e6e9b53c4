"""The Replicate predictions dialect and the vendor's row. Pure: no I/O, no third-party import."""

from lexigram.ai.replicate.vendors import vendors

__all__ = ["vendors"]
