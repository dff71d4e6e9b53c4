"""The OpenAI wire dialects and the table of vendors that speak them. Pure: no I/O, no third-party import."""

from lexigram.ai.openai._common import grammar_tool
from lexigram.ai.openai.vendors import vendors

__all__ = ["grammar_tool", "vendors"]
