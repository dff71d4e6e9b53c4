"""Counting tokens: with the model's own vocabulary where it lies on this machine, else an estimate; always labelled.

Nothing here goes to the network by itself. tiktoken is imported when first needed, and its vocabulary is read only if
its file is in tiktoken's cache already; :meth:`TokenCounterRegistry.prepare` fetches it, in a thread, when asked to.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from lexigram.ai.llm.codec import dumps
from lexigram.config import read_env
from lexigram.contracts.ai.coerce import coerce_messages, coerce_tools
from lexigram.contracts.ai.errors import LLMConfigurationError
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    OpaquePart,
    Part,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.protocols import Messages, TokenCount, TokenCounterProtocol, Tools
from lexigram.contracts.ai.request import ToolDefinition
from lexigram.contracts.values import JSON

__all__ = ["CharEstimateCounter", "HuggingFaceCounter", "TiktokenCounter", "TokenCounterRegistry"]

PER_MESSAGE: Final = 3  # OpenAI cookbook, "How to count tokens with tiktoken": every message costs three more
PER_REPLY: Final = 3
PER_IMAGE: Final = 85  # OpenAI vision guide: an image in low detail


class _Counter(ABC):
    """What all counters share: a request is its texts, its tools and a few tokens around each message."""

    @property
    def source(self) -> Literal["counted", "estimated"]:
        """How the counts are had."""
        return "counted"

    @abstractmethod
    def count(self, text: str) -> int:
        """Return the tokens of the text."""

    def count_messages(self, messages: Messages, tools: Tools | None = None) -> TokenCount:
        """Return the tokens of a request; media other than text make it an estimate."""
        total = PER_REPLY
        exact = self.source == "counted"
        for message in coerce_messages(messages):
            total += PER_MESSAGE + self.count(message.role) + (self.count(message.name) + 1 if message.name else 0)
            added, known = self._content(message)
            total += added
            exact = exact and known
        for tool in coerce_tools(tools):
            exact = False
            data: JSON = (
                tool.data
                if not isinstance(tool, ToolDefinition)
                else {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            )
            total += self.count(dumps(data).decode())
        return TokenCount(total, "counted" if exact else "estimated")

    def _content(self, message: ChatMessage) -> tuple[int, bool]:
        if isinstance(message.content, str):
            return self.count(message.content), True
        return self._parts(message.content)

    def _parts(self, parts: tuple[Part, ...]) -> tuple[int, bool]:
        total, exact = 0, True
        for part in parts:
            if isinstance(part, ImagePart):
                total, exact = total + PER_IMAGE, False
            elif isinstance(part, AudioPart | FilePart):
                total, exact = total + len(part.data or b"") // 16, False
            elif isinstance(part, ToolCall):
                total, exact = total + self.count(part.name) + self.count(part.raw_arguments), False
            elif isinstance(part, ToolResultPart):
                added = self.count(part.content) if isinstance(part.content, str) else self._parts(part.content)[0]
                total, exact = total + added, False
            elif isinstance(part, OpaquePart):
                total, exact = total + self.count(dumps(part.opaque.data).decode()), False
            else:
                total += self.count(part.text)
        return total, exact


class CharEstimateCounter(_Counter):
    """An estimate from the characters: four ASCII characters a token, one token a CJK character, two an emoji."""

    @property
    def source(self) -> Literal["counted", "estimated"]:
        """An estimate."""
        return "estimated"

    def count(self, text: str) -> int:
        """Return the estimated tokens of the text, at least 1 for any text."""
        if not text:
            return 0
        if text.isascii():
            return max(1, -(-len(text) // 4))
        quarters = 0
        for char in text:
            code = ord(char)
            quarters += 1 if code < 0x80 else 2 if code < 0x800 else 4 if code < 0x10000 else 8
        return max(1, -(-quarters // 4))


class TiktokenCounter(_Counter):
    """Counts with one of OpenAI's vocabularies, e.g. ``o200k_base``.

    The vocabulary is read from tiktoken's cache when first used (about half a second of work).
    """

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding

    def count(self, text: str) -> int:
        """Return the tokens of the text; special tokens in it count as the plain text that they are."""
        return len(_encoding(self.encoding).encode_ordinary(text))


class HuggingFaceCounter(_Counter):
    """Counts with a ``tokenizer.json`` on this machine (needs the package ``tokenizers``)."""

    def __init__(self, path: str | Path) -> None:
        if find_spec("tokenizers") is None:
            raise LLMConfigurationError(
                "HuggingFaceCounter needs the package tokenizers", hint='pip install "lexigram-ai-llm[tokenizers]"'
            )
        from tokenizers import Tokenizer  # type: ignore[import-not-found,unused-ignore]  # pyright: ignore

        self._tokenizer: Any = Tokenizer.from_file(str(path))

    def count(self, text: str) -> int:
        """Return the tokens of the text, special tokens not added."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


@lru_cache(maxsize=8)
def _encoding(name: str) -> Any:
    import tiktoken

    return tiktoken.get_encoding(name)


_URL: Final = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"


def vocabulary_file(encoding: str) -> Path:
    """Return where tiktoken keeps the vocabulary (its `load.py`); the file need not exist."""
    folder = read_env("TIKTOKEN_CACHE_DIR") or read_env("DATA_GYM_CACHE_DIR")
    root = Path(folder) if folder else Path(tempfile.gettempdir()) / "data-gym-cache"
    key = hashlib.sha1(_URL.format(encoding).encode(), usedforsecurity=False).hexdigest()
    return root / key


class TokenCounterRegistry:
    """Counters by model. What is not known, or not on this machine, is estimated, and says so."""

    def __init__(self) -> None:
        self._factories: dict[str, Callable[[], TokenCounterProtocol]] = {}
        self._models: list[tuple[re.Pattern[str], str]] = []
        self._made: dict[str, TokenCounterProtocol] = {}
        self._lock = threading.Lock()
        self._estimate = CharEstimateCounter()

    @classmethod
    def with_defaults(cls) -> TokenCounterRegistry:
        """Return a registry that knows OpenAI's models."""
        registry = cls()
        for encoding in ("o200k_base", "cl100k_base"):
            registry.register(encoding, partial(TiktokenCounter, encoding))
        registry.map_models(r"(gpt-4o|gpt-4\.[1-9]|gpt-5|o[1-9]|chatgpt-4o|gpt-oss)", "o200k_base")
        registry.map_models(r"(gpt-4|gpt-3\.5|text-embedding-)", "cl100k_base")
        return registry

    def register(self, key: str, counter: TokenCounterProtocol | Callable[[], TokenCounterProtocol]) -> None:
        """Add a counter, or what makes one, under a key."""
        self._factories[key] = _always(counter) if isinstance(counter, TokenCounterProtocol) else counter
        self._made.pop(key, None)

    def map_models(self, pattern: str, key: str) -> None:
        """Use the counter ``key`` for models whose name begins with the pattern; the first that matches counts."""
        self._models.append((re.compile(pattern), key))

    def for_model(self, model: str) -> TokenCounterProtocol:
        """Return the model's counter, or the estimate when its vocabulary is not here. Never uses the network."""
        key = self._key(model)
        if key is None or not self._available(key):
            return self._estimate
        with self._lock:
            counter = self._made.get(key)
            if counter is None:
                counter = self._made[key] = self._factories[key]()
            return counter

    async def prepare(self, model: str, *, download: bool = False) -> TokenCounterProtocol:
        """Load the model's vocabulary in a thread, so that the first count does not hold up the event loop.

        Args:
            download: whether it may be fetched from the network if it is not on this machine.
        """
        key = self._key(model)
        if key is None or (not download and not self._available(key)):
            return self._estimate

        def load() -> TokenCounterProtocol:
            with self._lock:
                counter = self._made.get(key) or self._factories[key]()
                counter.count("warm")
                self._made[key] = counter
                return counter

        return await asyncio.to_thread(load)

    def _key(self, model: str) -> str | None:
        name = model.rpartition("/")[2]
        for pattern, key in self._models:
            if pattern.match(name):
                return key if key in self._factories else None
        return None

    def _available(self, key: str) -> bool:
        if key in self._made:
            return True
        if key not in ("o200k_base", "cl100k_base"):
            return True
        return find_spec("tiktoken") is not None and vocabulary_file(key).is_file()


def _always(counter: TokenCounterProtocol) -> Callable[[], TokenCounterProtocol]:
    return lambda: counter
