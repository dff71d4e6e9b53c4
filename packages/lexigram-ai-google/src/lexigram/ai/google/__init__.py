"""Google's generateContent wire: the Gemini API and Vertex AI. The dialects are pure: no I/O, no third-party import."""

from lexigram.ai.google.vendors import vendors

__all__ = ["vendors"]
