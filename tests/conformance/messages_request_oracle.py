"""Two independent judges of what goes out on the Messages wire: the SDK's parameter types and the API description."""

from __future__ import annotations

import functools
from typing import Any

import pydantic
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from request_oracle import _closed, load_spec, schema_objections

# The SDK's newest types have no sampling parameters any more; version 2023-06-01 of the API has them.
SAMPLING = ("temperature", "top_p", "top_k")


@functools.cache
def _adapter(kind: str) -> pydantic.TypeAdapter[Any]:
    params: dict[str, Any] = {
        "whole": MessageCreateParamsNonStreaming,
        "stream": MessageCreateParamsStreaming,
        "count": MessageCountTokensParams,
    }
    return pydantic.TypeAdapter(_closed(params[kind], {}))


def sdk_objections(body: dict[str, Any], *, count: bool = False) -> list[str]:
    """What the SDK's types have against a body; nothing when it is right."""
    kind = "count" if count else "stream" if body.get("stream") else "whole"
    judged = {k: v for k, v in body.items() if k not in SAMPLING}
    try:
        _adapter(kind).validate_python(judged)
    except pydantic.ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
    return []


def has_spec() -> bool:
    return load_spec("anthropic") is not None


def spec_objections(body: dict[str, Any], *, count: bool = False) -> list[str]:
    """What Anthropic's API description (with its beta features) has against a body."""
    spec = load_spec("anthropic")
    assert spec is not None
    path = "/v1/messages/count_tokens?beta=true" if count else "/v1/messages?beta=true"
    return schema_objections(body, spec, path)
