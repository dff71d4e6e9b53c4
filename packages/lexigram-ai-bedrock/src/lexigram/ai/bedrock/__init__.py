"""The Bedrock Converse dialect, the signing of requests, and the vendor's row."""

from lexigram.ai.bedrock.vendors import vendors

__all__ = ["vendors"]
