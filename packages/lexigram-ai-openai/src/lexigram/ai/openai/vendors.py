"""The table of vendors that speak the OpenAI wire: the one source of truth for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from lexigram.ai.openai import chat, embeddings, responses
from lexigram.contracts.wire import Dialect, HeaderAuth, Quirks, Vendor

__all__ = ["vendors"]

_CHAT: Final[Mapping[str, Dialect]] = {"chat": chat}
_BOTH: Final[Mapping[str, Dialect]] = {"chat": chat, "responses": responses}

# Parameters of OpenAI's own service (and Azure's copy of it) that other vendors mostly ignore.
_OPENAI_ONLY: Final = frozenset({"store", "metadata", "prediction", "modalities", "audio", "verbosity", "prompt_cache"})
_COMPATIBLE: Final = Quirks(refuses=_OPENAI_ONLY)
_SAMPLING: Final = frozenset({"top_k"})


def _quirks(*, refuses: Iterable[str] = (), keeps: Iterable[str] = (), **fields: Any) -> Quirks:
    """Quirks of a compatible vendor: it refuses what is OpenAI's own but for ``keeps``, and what is named."""
    return Quirks(refuses=(_OPENAI_ONLY - frozenset(keeps)) | frozenset(refuses), **fields)


def vendors() -> Iterable[Vendor]:
    """Return the rows.

    Admission: a row needs a base URL and a key variable from the vendor's own reference (``docs_url``), and its
    differences must fit :class:`~lexigram.contracts.wire.Quirks`. A difference that two rows share is written into
    both; the third vendor that needs it earns a field in ``Quirks``. A vendor that needs behaviour (another path,
    another body) gets a dialect and no row here. A quirk is set where a recorded exchange or the vendor's reference
    shows it. What is OpenAI's own (``store``, ``prediction`` …) is refused for every other vendor, unless its
    reference has the parameter (``keeps``): an option that a vendor ignores would be lost without a word.

    Any other endpoint that speaks this wire is reached with ``openai_compatible`` and a base URL, or with a row of
    one's own through the ``lexigram.llm_providers`` entry point.
    """
    return _ROWS


_ROWS: Final[tuple[Vendor, ...]] = (
    # ``max_tokens`` is deprecated there in favour of ``max_completion_tokens``, and reasoning models refuse it.
    Vendor(
        name="openai",
        dialects=_BOTH,
        default_model="gpt-4-turbo",
        base_url="https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        embeddings=embeddings,
        quirks=Quirks(max_tokens_field="max_completion_tokens", thinking="reasoning_effort"),
        extra="openai",
        docs_url="https://platform.openai.com/docs/api-reference/chat/create",
    ),
    Vendor(
        name="azure-openai",
        dialects=_BOTH,
        base_url="https://{resource}.openai.azure.com/openai/v1",
        key_env=("AZURE_OPENAI_API_KEY",),
        auth=HeaderAuth("api-key", ""),
        embeddings=embeddings,
        quirks=Quirks(max_tokens_field="max_completion_tokens", thinking="reasoning_effort"),
        settings=("api_version",),
        extra="azure-openai",
        docs_url="https://learn.microsoft.com/azure/ai-foundry/openai/latest",
        aliases=("azure",),
    ),
    Vendor(
        name="openrouter",
        dialects=_BOTH,
        base_url="https://openrouter.ai/api/v1",
        key_env=("OPENROUTER_API_KEY",),
        embeddings=embeddings,
        quirks=_quirks(
            thinking="reasoning",
            thinking_field="reasoning",
            accepts=_SAMPLING,
            keeps=("verbosity", "modalities", "prediction", "metadata", "prompt_cache"),
        ),
        extra="openrouter",
        docs_url="https://openrouter.ai/docs/api-reference/chat-completion",
    ),
    Vendor(
        name="groq",
        dialects=_CHAT,
        base_url="https://api.groq.com/openai/v1",
        key_env=("GROQ_API_KEY",),
        quirks=_quirks(
            max_tokens_field="max_completion_tokens",
            thinking="reasoning_effort",
            thinking_field="reasoning",
            keeps=("store", "metadata"),
        ),
        extra="groq",
        docs_url="https://console.groq.com/docs/api-reference#chat-create",
    ),
    # ``seed`` is ``random_seed`` there; usage is always in the finish chunk and ``stream_options`` is unknown.
    Vendor(
        name="mistral",
        dialects=_CHAT,
        base_url="https://api.mistral.ai/v1",
        key_env=("MISTRAL_API_KEY",),
        embeddings=embeddings,
        quirks=_quirks(
            dimensions_field="output_dimension",
            refuses=("seed", "user", "logit_bias", "service_tier"),
            keeps=("prediction", "metadata", "prompt_cache"),
            stream_usage=False,
            thinking="reasoning_effort",
            thinking_field="content",
        ),
        extra="mistral",
        docs_url="https://docs.mistral.ai/api/#tag/chat",
    ),
    Vendor(
        name="cerebras",
        dialects=_CHAT,
        base_url="https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        quirks=_quirks(
            max_tokens_field="max_completion_tokens",
            thinking="reasoning_effort",
            thinking_field="reasoning",
            keeps=("prediction", "prompt_cache"),
        ),
        extra="cerebras",
        docs_url="https://inference-docs.cerebras.ai/api-reference/chat-completions",
    ),
    Vendor(
        name="xai",
        dialects=_BOTH,
        base_url="https://api.x.ai/v1",
        key_env=("XAI_API_KEY",),
        quirks=_quirks(
            max_tokens_field="max_completion_tokens",
            thinking="reasoning_effort",
            thinking_field="reasoning_content",
        ),
        extra="xai",
        docs_url="https://docs.x.ai/docs/api-reference#chat-completions",
        aliases=("grok",),
    ),
    # JSON mode only. In a turn with tools the reasoning has to go back as ``reasoning_content``.
    Vendor(
        name="deepseek",
        dialects=_BOTH,
        base_url="https://api.deepseek.com/v1",
        key_env=("DEEPSEEK_API_KEY",),
        quirks=_quirks(
            refuses=("seed", "logit_bias", "service_tier"),
            thinking="thinking",
            thinking_field="reasoning_content",
            json_schema=False,
            tool_strict=False,
        ),
        extra="deepseek",
        docs_url="https://api-docs.deepseek.com/api/create-chat-completion",
    ),
    Vendor(
        name="together",
        dialects=_CHAT,
        base_url="https://api.together.ai/v1",
        key_env=("TOGETHER_API_KEY",),
        embeddings=embeddings,
        quirks=_quirks(thinking="reasoning_effort", thinking_field="reasoning", accepts=_SAMPLING),
        extra="together",
        docs_url="https://docs.together.ai/reference/chat-completions-1",
    ),
    Vendor(
        name="fireworks",
        dialects=_CHAT,
        base_url="https://api.fireworks.ai/inference/v1",
        key_env=("FIREWORKS_API_KEY",),
        embeddings=embeddings,
        quirks=_quirks(thinking="reasoning_effort", thinking_field="reasoning_content", accepts=_SAMPLING),
        extra="fireworks",
        docs_url="https://docs.fireworks.ai/api-reference/post-chatcompletions",
    ),
    Vendor(
        name="moonshot",
        dialects=_CHAT,
        base_url="https://api.moonshot.ai/v1",
        key_env=("MOONSHOT_API_KEY",),
        quirks=_quirks(thinking="thinking", thinking_field="reasoning_content", refuses=("thinking.effort",)),
        extra="moonshot",
        docs_url="https://platform.moonshot.ai/docs/api/chat",
        aliases=("kimi",),
    ),
    Vendor(
        name="nvidia",
        dialects=_CHAT,
        base_url="https://integrate.api.nvidia.com/v1",
        key_env=("NVIDIA_API_KEY",),
        quirks=_quirks(thinking="chat_template"),
        extra="nvidia",
        docs_url="https://docs.api.nvidia.com/nim/reference/llm-apis",
    ),
    Vendor(
        name="perplexity",
        dialects=_CHAT,
        base_url="https://api.perplexity.ai",
        key_env=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        embeddings=embeddings,
        quirks=_quirks(
            refuses=("seed", "logit_bias", "user", "service_tier", "thinking.suppress"),
            stream_usage=False,
            thinking="reasoning_effort",
            accepts=_SAMPLING,
        ),
        settings=("embeddings_encoding",),
        extra="perplexity",
        docs_url="https://docs.perplexity.ai/api-reference/chat-completions-post",
    ),
    Vendor(
        name="huggingface",
        dialects=_CHAT,
        base_url="https://router.huggingface.co/v1",
        key_env=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        quirks=_quirks(thinking="reasoning_effort"),
        extra="huggingface",
        docs_url="https://huggingface.co/docs/inference-providers/tasks/chat-completion",
        aliases=("hf",),
    ),
    Vendor(
        name="cloudflare",
        dialects=_CHAT,
        base_url="https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1",
        key_env=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        quirks=_quirks(accepts=_SAMPLING),
        extra="cloudflare",
        docs_url="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
    ),
    Vendor(
        name="dashscope",
        dialects=_CHAT,
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_env=("DASHSCOPE_API_KEY",),
        embeddings=embeddings,
        quirks=_quirks(thinking="enable_thinking", accepts=_SAMPLING, keeps=("modalities", "audio")),
        extra="dashscope",
        docs_url="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        aliases=("qwen",),
    ),
    Vendor(
        name="zai",
        dialects=_CHAT,
        base_url="https://api.z.ai/api/paas/v4",
        key_env=("ZAI_API_KEY",),
        quirks=_quirks(
            thinking="thinking", thinking_field="reasoning_content", json_schema=False, refuses=("logit_bias",)
        ),
        extra="zai",
        docs_url="https://docs.z.ai/api-reference/llm/chat-completion",
    ),
    Vendor(
        name="sambanova",
        dialects=_CHAT,
        base_url="https://api.sambanova.ai/v1",
        key_env=("SAMBANOVA_API_KEY",),
        quirks=_quirks(thinking="reasoning_effort", accepts=_SAMPLING),
        extra="sambanova",
        docs_url="https://docs.sambanova.ai/docs/en/api-reference/openai-compatible-api/chat-completions",
    ),
    Vendor(
        name="venice",
        dialects=_CHAT,
        base_url="https://api.venice.ai/api/v1",
        key_env=("VENICE_API_KEY",),
        embeddings=embeddings,
        quirks=_quirks(
            max_tokens_field="max_completion_tokens",
            thinking="reasoning_effort",
            thinking_field="reasoning_content",
            accepts=_SAMPLING,
            keeps=("prompt_cache",),
        ),
        extra="venice",
        docs_url="https://docs.venice.ai/api-reference/endpoint/chat/completions",
    ),
    Vendor(
        name="vercel",
        dialects=_CHAT,
        base_url="https://ai-gateway.vercel.sh/v1",
        key_env=("AI_GATEWAY_API_KEY",),
        quirks=_quirks(thinking="reasoning", thinking_field="reasoning"),
        extra="vercel",
        docs_url="https://vercel.com/docs/ai-gateway/openai-compat",
        aliases=("vercel-gateway",),
    ),
    Vendor(
        name="nebius",
        dialects=_CHAT,
        base_url="https://api.studio.nebius.ai/v1",
        key_env=("NEBIUS_API_KEY",),
        embeddings=embeddings,
        quirks=_COMPATIBLE,
        extra="nebius",
        docs_url="https://docs.nebius.com/studio/inference/api",
    ),
    Vendor(
        name="novita",
        dialects=_CHAT,
        base_url="https://api.novita.ai/v3/openai",
        key_env=("NOVITA_API_KEY",),
        quirks=_quirks(accepts=_SAMPLING),
        extra="novita",
        docs_url="https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
    ),
    Vendor(
        name="hyperbolic",
        dialects=_CHAT,
        base_url="https://api.hyperbolic.xyz/v1",
        key_env=("HYPERBOLIC_API_KEY",),
        quirks=_quirks(accepts=_SAMPLING),
        extra="hyperbolic",
        docs_url="https://docs.hyperbolic.xyz/docs/rest-api",
    ),
    Vendor(
        name="avian",
        dialects=_CHAT,
        base_url="https://api.avian.io/v1",
        key_env=("AVIAN_API_KEY",),
        quirks=_quirks(thinking_field="reasoning_content"),
        extra="avian",
        docs_url="https://docs.avian.io/",
    ),
    Vendor(
        name="deepinfra",
        dialects=_CHAT,
        base_url="https://api.deepinfra.com/v1/openai",
        key_env=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        embeddings=embeddings,
        quirks=_quirks(thinking="reasoning_effort", accepts=_SAMPLING),
        extra="deepinfra",
        docs_url="https://deepinfra.com/docs/openai_api",
    ),
    # Ollama's copy of this wire; its own wire, which carries its options, is `ollama` in a package of its own.
    Vendor(
        name="ollama_openai",
        dialects=_BOTH,
        base_url="http://127.0.0.1:11434/v1",
        key_env=("OLLAMA_API_KEY",),
        key_required=False,
        embeddings=embeddings,
        quirks=_quirks(
            schema="llamacpp", refuses=("logit_bias", "user"), thinking="reasoning_effort", thinking_field="reasoning"
        ),
        extra="ollama-openai",
        docs_url="https://docs.ollama.com/api/openai-compatibility",
        aliases=("ollama-openai",),
        local=True,
    ),
    Vendor(
        name="vllm",
        dialects=_BOTH,
        base_url="http://127.0.0.1:8000/v1",
        key_env=("VLLM_API_KEY",),
        key_required=False,
        embeddings=embeddings,
        quirks=_quirks(schema="llamacpp", thinking="chat_template", thinking_field="reasoning", accepts=_SAMPLING),
        extra="vllm",
        docs_url="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        local=True,
    ),
    Vendor(
        name="lmstudio",
        dialects=_BOTH,
        base_url="http://127.0.0.1:1234/v1",
        key_env=("LMSTUDIO_API_KEY",),
        key_required=False,
        embeddings=embeddings,
        quirks=_quirks(schema="llamacpp", thinking="reasoning_effort", accepts=_SAMPLING),
        extra="lmstudio",
        docs_url="https://lmstudio.ai/docs/developer/openai-compat",
        local=True,
    ),
    Vendor(
        name="llamacpp",
        dialects=_BOTH,
        base_url="http://127.0.0.1:8080/v1",
        key_env=("LLAMA_API_KEY",),
        key_required=False,
        embeddings=embeddings,
        quirks=_quirks(
            schema="llamacpp",
            format_field="response_format",
            thinking="chat_template",
            thinking_field="reasoning_content",
            accepts=_SAMPLING,
        ),
        extra="local",
        docs_url="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        aliases=("llama.cpp",),
        local=True,
    ),
    # Whatever speaks the wire: nothing is refused, for nothing is known of it.
    Vendor(
        name="openai_compatible",
        dialects=_BOTH,
        base_url=None,
        key_env=("OPENAI_COMPATIBLE_API_KEY",),
        key_required=False,
        embeddings=embeddings,
        quirks=Quirks(thinking="reasoning_effort", accepts=_SAMPLING),
        extra="openai",
        docs_url="https://platform.openai.com/docs/api-reference/chat/create",
        aliases=("openai-compatible",),
    ),
)
