"""What the dialects of this package share in writing requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote

from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import ChatMessage, Opaque, OpaquePart, ThinkingPart, ToolResultPart
from lexigram.contracts.ai.request import CompletionRequest, ProviderTool, ResponseFormat, ToolDefinition
from lexigram.contracts.wire import Endpoint, Loss
from lexigram.contracts.wire.schema import compile_schema

__all__ = [
    "ITEM",
    "compiled",
    "data_url",
    "grammar_tool",
    "left_out",
    "merged_body",
    "refused",
    "schema_in_words",
    "schema_losses",
    "url",
]

ITEM: Final = "item"
"""The one key of what the Responses dialect keeps of an output item. Chat knows it by this key and sends it nothing."""


def url(endpoint: Endpoint, path: str) -> str:
    """Return the address of a path; ``api_version`` of the endpoint's settings is the query (Azure's older URLs)."""
    version = endpoint.params.get("api_version")
    return f"{endpoint.base_url.rstrip('/')}{path}" + (f"?api-version={quote(version)}" if version else "")


def merged_body(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``extra`` in it: objects key by key at every depth, everything else replaces."""
    out = dict(base)
    for name, value in extra.items():
        old = out.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            out[name] = merged_body(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", value))
        else:
            out[name] = value
    return out


def refused(name: str, endpoint: Endpoint) -> InvalidRequestError:
    """Return the error for an option that would be lost."""
    return InvalidRequestError(
        f"{endpoint.provider} has no parameter for {name!r}",
        provider=endpoint.provider,
        provider_code=f"unsupported_option:{name}",
        hint=f"leave {name!r} out, or write what the vendor knows into extra_body",
    )


def data_url(data: bytes, media_type: str | None) -> str:
    """Return bytes as a ``data:`` URL."""
    return f"data:{media_type or 'application/octet-stream'};base64,{base64.b64encode(data).decode('ascii')}"


def schema_in_words(fmt: ResponseFormat) -> str:
    """Return the instruction for vendors that know JSON mode only: the schema goes where the model can read it."""
    schema = json.dumps(dict(fmt.schema or {}), ensure_ascii=False)
    return f"Answer with one JSON object that fits this JSON schema, and nothing else:\n{schema}"


def compiled(given: Mapping[str, Any], strict: bool | None, where: str, endpoint: Endpoint, losses: list[Loss]) -> Any:
    """Return a schema as it is sent: compiled for the vendor where it shall hold the model to it, else as it is."""
    if not strict:
        return dict(given)
    made = compile_schema(given, endpoint.quirks.schema, path=where)
    losses += made.losses
    return made.schema


def schema_losses(request: CompletionRequest, endpoint: Endpoint) -> list[Loss]:
    """Return what the strict schemas of a request lose."""
    losses: list[Loss] = []
    fmt = request.response_format
    if fmt is not None and fmt.schema is not None and endpoint.quirks.json_schema:
        compiled(fmt.schema, fmt.strict, "response_format.schema", endpoint, losses)
    for i, tool in enumerate(request.tools):
        if isinstance(tool, ToolDefinition):
            compiled(tool.parameters, tool.strict, f"tools[{i}].parameters", endpoint, losses)
    return losses


def left_out(messages: tuple[ChatMessage, ...], endpoint: Endpoint, *, items: bool) -> list[Loss]:
    """Return what of the history is not sent: what another provider, or another API of the same one, wrote, and
    reasoning where the vendor has no field for it.

    Args:
        messages: the history.
        endpoint: where it goes.
        items: whether the wire takes the output items of the Responses API, or the fields of the chat API.
    """
    return [
        loss
        for i, message in enumerate(messages)
        if not isinstance(message.content, str)
        for loss in _left_out(message.content, f"messages[{i}]", endpoint, items)
    ]


def _left_out(parts: Sequence[Any], where: str, endpoint: Endpoint, items: bool) -> Iterator[Loss]:
    provider = endpoint.provider
    silent = not items and endpoint.quirks.thinking_field is None
    for j, part in enumerate(parts):
        at = f"{where}.parts[{j}]"
        opaque: Opaque | None = part.opaque
        if opaque is not None and (opaque.provider != provider or (ITEM in opaque.data) != items):
            foreign = opaque.provider != provider
            who = opaque.provider if foreign else f"another API of {opaque.provider}"
            if isinstance(part, OpaquePart):
                yield Loss(at, f"{part.kind or 'a part'} of {who} is left out")
            elif foreign or isinstance(part, ThinkingPart):
                yield Loss(at, f"what {who} attached is left out")
        elif silent and isinstance(part, ThinkingPart):
            yield Loss(at, "the vendor has no field for earlier reasoning; it is left out")
        if isinstance(part, ToolResultPart) and not isinstance(part.content, str):
            yield from _left_out(part.content, at, endpoint, items)


def grammar_tool(name: str, syntax: str, definition: str, description: str = "") -> ProviderTool:
    """Return a tool whose input the vendor holds to a grammar; the model's text is in ``ToolCall.raw_arguments``.

    Args:
        name: of the tool.
        syntax: ``lark`` or ``regex``.
        definition: the grammar, or the regular expression.
        description: what it does, for the model.

    Raises:
        InvalidRequestError: for another syntax.
    """
    if syntax not in ("lark", "regex"):
        raise InvalidRequestError(f"{syntax!r} is no grammar syntax", hint="allowed: lark, regex")
    form = {"type": "grammar", "syntax": syntax, "definition": definition}
    said: dict[str, Any] = {"description": description} if description else {}
    return ProviderTool({"type": "custom", "name": name, **said, "format": form})
