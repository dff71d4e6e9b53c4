"""The public surface: pinned, documented, and cheap to import."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

PINNED = {
    "lexigram.ai.llm": """
        CSVParser CharEstimateCounter ClientConfig ConversationConfig ConversationManager EmbeddingClient EnumParser HuggingFaceCounter JSONExtractor
        JSONParser LLMClient LLMModule LLMRoutingProvider Limits ParserRegistry ProviderRegistry PydanticParser RequestPlan StructuredExtractor ThinkingConfig
        TiktokenCounter TokenCounterRegistry
    """,
    "lexigram.ai.llm.routing": "LLMConfig LLMRouter Place Price ProviderConfig Strategy Target",
    "lexigram.contracts.ai": """
        AsyncStream Attempt AudioPart ChatMessage ChatMessageProtocol Completion CompletionOptions CompletionProtocol CompletionRequest
        EmbeddingClientProtocol Embeddings FilePart FinishReason ImagePart LLMClientProtocol LLMError Opaque OpaquePart
        OutputParserProtocol Part ProviderTool RateLimit RefusalPart ResiliencePolicyProtocol ResponseFormat StreamChunk TextPart ThinkingConfig
        ThinkingPart Timeouts TokenCount TokenCounterProtocol ToolCall ToolCallDelta ToolChoice ToolDefinition ToolResultPart Usage
    """,
    "lexigram.result": "Err Ok Result UnwrapError collect from_dict gather is_err is_ok partition to_dict",
    "lexigram.app": "Application ApplicationError ApplicationStateError Module ModuleConflictError Provider ProviderBase",
    "lexigram.di": """
        AsyncFactoryError CircularDependencyError Container ContainerClosedError ContainerFrozenError DIError Named RegistrationError
        ScopeError UnresolvableDependencyError
    """,
    "lexigram.ai.anthropic": "vendors",
    "lexigram.ai.openai": "grammar_tool vendors",
    "lexigram.ai.bedrock": "vendors",
    "lexigram.ai.cohere": "vendors",
    "lexigram.ai.ollama": "vendors",
    "lexigram.ai.replicate": "vendors",
    "lexigram.ai.google": "vendors",
    "lexigram.contracts.limits": "MINUTE Allowance Cost FrozenError ImpossibleError Lease LimitKey LimiterProtocol Report",
    "lexigram.testing.conformance": "Conformance UnknownClaimError",
    "lexigram.resilience": """
        Allowance BreakerConfig BudgetConfig BulkheadConfig Counters HedgeConfig LimitKey LimiterConfig LimiterProtocol MemoryLimiter
        RedisConfig ResilienceConfig ResilienceModule ResiliencePolicy ResilientClient RetryConfig
    """,
    "lexigram.testing.recording": "MODES Cassette RecordMode RecordingError",
    "lexigram.testing.simulator": """
        Answer Call Counts Distribution Failure FaultKind Faults Fixed Journal JournalEntry Latency Line LogNormal Question RateLimits
        Script Server Simulator Tool ToolResult Turn Uniform When
    """,
}
ALIASES = {"MINUTE", "MODES", "FaultKind", "FinishReason", "Line", "Part", "RecordMode", "Result", "Script", "Strategy"}


@pytest.mark.parametrize("module", sorted(PINNED))
def test_the_public_names_are_exactly_these(module: str) -> None:
    loaded = importlib.import_module(module)
    assert sorted(loaded.__all__) == sorted(PINNED[module].split())
    for name in loaded.__all__:
        assert hasattr(loaded, name)


def public_objects() -> list[tuple[str, Any]]:
    return [
        (f"{module}.{name}", getattr(importlib.import_module(module), name))
        for module, names in PINNED.items()
        for name in names.split()
        if name not in ALIASES
    ]


@pytest.mark.parametrize(("name", "thing"), public_objects(), ids=lambda v: v if isinstance(v, str) else "")
def test_every_public_name_and_method_is_documented(name: str, thing: Any) -> None:
    own = "lexigram" in getattr(thing, "__module__", "")
    assert not own or inspect.getdoc(thing), name
    if inspect.isclass(thing) and own:
        for attribute, member in vars(thing).items():
            function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            if not attribute.startswith("_") and inspect.isfunction(function) and "lexigram" in function.__module__:
                assert inspect.getdoc(function) or attribute in dir(BaseException), f"{name}.{attribute}"


def test_one_class_per_concept() -> None:
    from lexigram.ai.llm import ThinkingConfig
    from lexigram.contracts import ai
    from lexigram.contracts.ai import llm

    assert llm.ChatMessage is ai.ChatMessage
    assert llm.LLMError is ai.LLMError
    assert ThinkingConfig is ai.ThinkingConfig


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import lexigram.ai.llm", "httpx pydantic pydantic_settings tiktoken orjson yaml typer rich punq lexigram.ai.openai lexigram.ai.anthropic"),
        ("from lexigram.ai.llm import LLMModule, ClientConfig", "httpx pydantic_settings tiktoken yaml typer rich lexigram.ai.openai openai"),
        ("import lexigram.contracts.ai.llm, lexigram.contracts.wire", "httpx pydantic orjson punq"),
        ("import lexigram.ai.anthropic", "httpx pydantic orjson anthropic"),
        ("import lexigram.ai.openai", "httpx pydantic orjson openai tiktoken"),
        ("import lexigram.ai.google", "httpx pydantic orjson google.auth google.genai requests"),
        ("import lexigram.resilience", "httpx pydantic redis yaml punq lexigram.ai.llm"),
        ("from lexigram.resilience import ResilienceModule, ResilientClient", "httpx redis pydantic_settings yaml lexigram.ai.llm"),
        ("import lexigram.app, lexigram.di, lexigram.config", "httpx pydantic pydantic_settings yaml"),
    ],
)  # fmt: skip
def test_importing_brings_in_nothing_before_it_is_needed(code: str, absent: str) -> None:
    program = f"{code}\nimport sys\nprint(*[m for m in {absent.split()!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
    assert run.stderr == ""
