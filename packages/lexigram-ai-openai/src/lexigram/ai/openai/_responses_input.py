"""The history as input items of the Responses wire.

What came out as an item goes in again as the same item: its id, phase, status and encrypted content stand in
``opaque`` and are sent back unchanged and in order, for a reasoning item has to stand right before the calls or the
message that it led to.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, cast

from lexigram.ai.openai._common import ITEM, data_url
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
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
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire import Endpoint, Loss

__all__ = ["input_items"]


def input_items(
    request: CompletionRequest, endpoint: Endpoint, *, stored: bool, losses: list[Loss]
) -> list[dict[str, Any]]:
    """Return the items; what cannot go out as it was said is added to ``losses``."""
    custom = frozenset(
        [p.id for m in request.messages for p in m.parts if isinstance(p, ToolCall) and p.kind == "custom"]
    )
    resumed = any(name in (request.extra_body or {}) for name in ("previous_response_id", "conversation"))
    writer = _Writer(endpoint, stored or resumed, custom, losses)
    for i, message in enumerate(request.messages):
        writer.message(message, f"messages[{i}]")
    return writer.items


class _Writer:
    def __init__(self, endpoint: Endpoint, stored: bool, custom: frozenset[str], losses: list[Loss]) -> None:
        self.endpoint = endpoint
        self.stored = stored
        self.custom = custom
        self.losses = losses
        self.items: list[dict[str, Any]] = []

    def own(self, opaque: Opaque | None) -> dict[str, Any]:
        """The item that the same provider wrote, or nothing."""
        if opaque is None or opaque.provider != self.endpoint.provider:
            return {}
        item = opaque.data.get(ITEM)
        return dict(cast("Mapping[str, Any]", item)) if isinstance(item, Mapping) else {}

    def cannot(self, what: str, where: str, hint: str | None = None) -> InvalidRequestError:
        said = f"{where}: the responses wire cannot carry {what}"
        return InvalidRequestError(said, provider=self.endpoint.provider, hint=hint)

    def message(self, message: ChatMessage, where: str) -> None:
        if message.name is not None:
            self.losses.append(Loss(f"{where}.name", "the wire has no field for a speaker's name: it is left out"))
        if message.role == "assistant":
            self.assistant(message, where)
            return
        if isinstance(message.content, str) and message.role != "tool":
            self.items.append({"role": message.role, "content": message.content})
            return
        content: list[dict[str, Any]] = []

        def flush() -> None:
            if content:
                self.items.append({"role": message.role, "content": list(content)})
                content.clear()

        for j, part in enumerate(message.parts):
            at = f"{where}.parts[{j}]"
            if isinstance(part, ToolResultPart):
                flush()
                self.items.append(self.result(part, at))
            elif isinstance(part, OpaquePart):
                item = self.own(part.opaque)
                if item:
                    flush()
                    self.items.append(item)
            elif message.role == "tool":
                raise self.cannot("anything but tool results in a tool message", where)
            else:
                content.append(self.given(part, at))
        flush()

    # -- what the user and the tools give

    def given(self, part: Part, where: str) -> dict[str, Any]:
        match part:
            case TextPart():
                return {"type": "input_text", "text": part.text}
            case ImagePart():
                address = part.url or data_url(part.data or b"", part.media_type)
                return {"type": "input_image", "image_url": address, "detail": part.detail or "auto"}
            case AudioPart():
                if part.data is None:
                    raise self.cannot("audio by id", where, "give the audio's data")
                data = base64.b64encode(part.data).decode("ascii")
                return {"type": "input_audio", "input_audio": {"data": data, "format": part.format}}
            case FilePart():
                if part.file_id is not None:
                    return {"type": "input_file", "file_id": part.file_id}
                if part.url is not None:
                    return {"type": "input_file", "file_url": part.url}
                data = data_url(part.data or b"", part.media_type)
                return {"type": "input_file", "filename": part.filename or "file", "file_data": data}
            case _:
                raise self.cannot(f"a {type(part).__name__} in this role", where)

    def result(self, result: ToolResultPart, where: str) -> dict[str, Any]:
        content: Any = result.content
        if not isinstance(content, str):
            if any(isinstance(p, AudioPart) for p in content):
                raise self.cannot("audio in a tool's result", where, "send it in a user message")
            content = [self.given(p, f"{where}.content[{j}]") for j, p in enumerate(content)]
            if all(p["type"] == "input_text" for p in content):
                content = "".join([p["text"] for p in content])
        if result.is_error:
            if isinstance(content, str):
                content = content if content.lower().startswith("error") else f"Error: {content}"
            else:
                content.insert(0, {"type": "input_text", "text": "Error:"})
        kind = "custom_tool_call_output" if result.tool_call_id in self.custom else "function_call_output"
        return {"type": kind, "call_id": result.tool_call_id, "output": content, **self.own(result.opaque)}

    # -- what the model said

    def assistant(self, message: ChatMessage, where: str) -> None:
        if isinstance(message.content, str):
            if message.content:
                self.items.append({"role": "assistant", "content": message.content})
            return
        # An item whose reasoning stays behind may not carry the id that ties it to that reasoning.
        dropped = [
            j
            for j, p in enumerate(message.content)
            if isinstance(p, ThinkingPart) and (item := self.own(p.opaque)) and not self.sendable(item)
        ]
        open_head: dict[str, Any] | None = None
        for j, part in enumerate(message.content):
            at = f"{where}.parts[{j}]"
            item = self.own(None if isinstance(part, ThinkingPart | OpaquePart) else part.opaque)
            if dropped:
                item.pop("id", None)
            match part:
                case TextPart() | RefusalPart():
                    open_head = self.said(part, item, open_head, at)
                    continue
                case ThinkingPart():
                    self.thought(part, at, left=j in dropped)
                case OpaquePart():
                    whole = self.own(part.opaque)
                    if whole:
                        self.items.append(whole)
                case ToolCall(kind="custom"):
                    call = {"type": "custom_tool_call", "call_id": part.id, "name": part.name}
                    self.items.append({**item, **call, "input": part.raw_arguments})
                case ToolCall():
                    raw = part.raw_arguments
                    if raw.strip() in ("", "null"):
                        raw = json.dumps(dict(part.arguments), ensure_ascii=False)
                    call = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": raw}
                    self.items.append({**item, **call})
                case ToolResultPart():
                    self.items.append(self.result(part, at))
                case _:
                    raise self.cannot(f"a {type(part).__name__} in an assistant message", at)
            open_head = None

    def sendable(self, item: Mapping[str, Any]) -> bool:
        """Whether a reasoning item says something by itself, or the vendor still has it."""
        return bool(self.stored or item.get("encrypted_content") or item.get("content"))

    def thought(self, part: ThinkingPart, where: str, *, left: bool) -> None:
        item = self.own(part.opaque)
        if left:
            said = "the reasoning is not stored at the vendor and has no encrypted content: it is left out"
            self.losses.append(Loss(where, said))
        elif item:
            self.items.append(item)
        elif part.opaque is None:
            self.losses.append(Loss(where, "reasoning that no item of this provider stands for is left out"))

    def said(
        self, part: TextPart | RefusalPart, head: dict[str, Any], open_head: dict[str, Any] | None, where: str
    ) -> dict[str, Any]:
        """Add text to the message item that is open if it is of the same item, else open one; return its head."""
        if "id" not in head:
            if isinstance(part, RefusalPart):
                self.losses.append(Loss(where, "a refusal without its item is sent as text"))
            phase = {"phase": head["phase"]} if head.get("phase") is not None else {}
            if open_head == phase:
                self.items[-1]["content"] += part.text
            else:
                self.items.append({"role": "assistant", "content": part.text, **phase})
            return phase
        content: dict[str, Any] = (
            {"type": "refusal", "refusal": part.text}
            if isinstance(part, RefusalPart)
            else {"type": "output_text", "text": part.text, "annotations": [dict(a) for a in part.annotations]}
        )
        if open_head == head:
            self.items[-1]["content"].append(content)
        else:
            self.items.append({**head, "type": "message", "role": "assistant", "content": [content]})
        return head
