"""The guide that the project was created from: each of its snippets stands in ours as it is, and ours run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEED = next(iter((ROOT.parent / "shared" / "seeds").glob("002_*.txt")), None)
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "guide.md").read_text(encoding="utf-8"), re.S | re.M)

SNIPPETS = [
    "thinking=ThinkingConfig(budget_tokens=5000)",
    "ConversationConfig(max_turns=10)",
    "reply = result.match(",
    'content": "Write a poem"}])\n\nasync for chunk in stream',
    'extractor.extract("Extract a name"',
]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.skipif(SEED is None, reason="the original guide is not beside this clone")
@pytest.mark.parametrize("part", SNIPPETS)
def test_a_snippet_of_the_original_guide_stands_in_ours_word_for_word(part: str) -> None:
    assert SEED is not None
    original = squeezed(SEED.read_text(encoding="utf-8"))
    (block,) = [b for b in BLOCKS if part in b]
    code = block.replace("print(response.content)\n", "")
    assert squeezed(code) in original


@pytest.mark.skipif(SEED is None, reason="the original guide is not beside this clone")
def test_its_routing_snippet_stands_in_ours_word_for_word() -> None:
    assert SEED is not None
    line = "module = LLMModule.configure(routing=LLMConfig())"
    assert squeezed(line) in squeezed(SEED.read_text(encoding="utf-8"))
    assert [b for b in BLOCKS if line in b.splitlines()]
