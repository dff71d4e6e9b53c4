"""Messages, requests, completions, streams and the client protocol: the words of a call.

The errors stand in :mod:`lexigram.contracts.ai.llm`, together with all of these.
"""

from lexigram.contracts.ai.completion import (
    Attempt,
    Completion,
    CompletionProtocol,
    FinishReason,
    RateLimit,
    StreamChunk,
    ToolCallDelta,
    Usage,
)
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    ChatMessageProtocol,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.protocols import (
    EmbeddingClientProtocol,
    Embeddings,
    LLMClientProtocol,
    OutputParserProtocol,
    ResiliencePolicyProtocol,
    TokenCount,
    TokenCounterProtocol,
)
from lexigram.contracts.ai.request import (
    CompletionOptions,
    CompletionRequest,
    ProviderTool,
    ResponseFormat,
    ThinkingConfig,
    Timeouts,
    ToolChoice,
    ToolDefinition,
)
from lexigram.contracts.ai.stream import AsyncStream

__all__ = [
    "AsyncStream",
    "Attempt",
    "AudioPart",
    "ChatMessage",
    "ChatMessageProtocol",
    "Completion",
    "CompletionOptions",
    "CompletionProtocol",
    "CompletionRequest",
    "EmbeddingClientProtocol",
    "Embeddings",
    "FilePart",
    "FinishReason",
    "ImagePart",
    "LLMClientProtocol",
    "LLMError",
    "Opaque",
    "OpaquePart",
    "OutputParserProtocol",
    "Part",
    "ProviderTool",
    "RateLimit",
    "RefusalPart",
    "ResiliencePolicyProtocol",
    "ResponseFormat",
    "StreamChunk",
    "TextPart",
    "ThinkingConfig",
    "ThinkingPart",
    "Timeouts",
    "TokenCount",
    "TokenCounterProtocol",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolDefinition",
    "ToolResultPart",
    "Usage",
]
