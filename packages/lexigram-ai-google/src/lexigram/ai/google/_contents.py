"""Messages as ``contents`` and ``systemInstruction``.

Source: "Content", "Part" and "FunctionResponse" in the references of both services, and the guide's page on thought
signatures.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

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

__all__ = ["encode_contents"]

PLACEHOLDER_SIGNATURE: Final = base64.b64encode(b"skip_thought_signature_validator").decode("ascii")
"""What Google documents for calls that another model made, where its own would carry a signature."""

_NEEDS_SIGNATURE: Final = re.compile(r"\bgemini-(?:[3-9]|[1-9]\d)")
_DATA_URL: Final = re.compile(r"data:([^;,]*(?:;(?!base64,)[^;,]*)*);base64,(.*)", re.DOTALL)
_MEDIA_TYPES: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "heic": "image/heic",
    "heif": "image/heif", "gif": "image/gif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/md",
    "html": "text/html", "csv": "text/csv", "json": "application/json", "mp3": "audio/mp3", "wav": "audio/wav",
    "flac": "audio/flac", "aac": "audio/aac", "ogg": "audio/ogg", "mp4": "video/mp4", "mov": "video/mov",
    "webm": "video/webm", "mpeg": "video/mpeg", "avi": "video/avi",
}  # fmt: skip


def encode_contents(
    request: CompletionRequest, endpoint: Endpoint
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Loss]]:
    """Return the contents, the parts of the system instruction, and what was left out or moved.

    Raises:
        InvalidRequestError: for a part that the wire cannot carry, by its place.
    """
    return _Encoder(request, endpoint).encode()


class _Encoder:
    """One request on its way: the calls that results answer to, and the losses so far."""

    def __init__(self, request: CompletionRequest, endpoint: Endpoint) -> None:
        self._messages = request.messages
        self._endpoint = endpoint
        self._signs = _NEEDS_SIGNATURE.search(request.model) is not None
        self._calls: dict[str, ToolCall] = {}
        self._losses: list[Loss] = []

    def encode(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Loss]]:
        contents: list[dict[str, Any]] = []
        system: list[dict[str, Any]] = []
        results: list[dict[str, Any]] | None = None  # the results of one turn stand in one content
        for i, message in enumerate(self._messages):
            where = f"messages[{i}]"
            if message.name is not None:
                self._lose(f"{where}.name", "Google has no names of speakers")
            if message.role in ("system", "developer"):
                if contents:
                    self._lose(where, "instructions stand before the conversation: moved into systemInstruction")
                system += self._system(message, where)
                continue
            parts = self._parts(message.parts, f"{where}.content", in_model=message.role == "assistant")
            if not parts:
                continue
            if message.role == "tool" and results is not None:
                results += parts
                continue
            contents.append({"role": "model" if message.role == "assistant" else "user", "parts": parts})
            results = parts if message.role == "tool" else None
        return contents, system, self._losses

    def _lose(self, path: str, reason: str) -> None:
        self._losses.append(Loss(path, reason))

    def _cannot(self, what: str, where: str, hint: str | None = None) -> InvalidRequestError:
        return InvalidRequestError(f"{where}: Google cannot take {what}", provider=self._endpoint.provider, hint=hint)

    def _beside(self, opaque: Opaque | None, where: str) -> dict[str, Any]:
        """What the same provider wrote beside the data; what another one wrote is left out."""
        if opaque is None:
            return {}
        if opaque.provider == self._endpoint.provider:
            return dict(opaque.data)
        if opaque.data:
            self._lose(where, f"what {opaque.provider} attached is understood by {opaque.provider} only: left out")
        return {}

    def _system(self, message: ChatMessage, where: str) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for j, part in enumerate(message.parts):
            if not isinstance(part, TextPart):
                raise self._cannot(f"a {type(part).__name__} in an instruction", f"{where}.content[{j}]")
            if part.text:
                out.append({"text": part.text, **self._beside(part.opaque, f"{where}.content[{j}]")})
        return out

    def _parts(self, parts: Sequence[Part], path: str, *, in_model: bool) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        first_call = in_model and self._signs
        for j, part in enumerate(parts):
            where = f"{path}[{j}]"
            made = self._part(part, where)
            if made is None:
                continue
            if first_call and "functionCall" in made:
                first_call = False
                if "thoughtSignature" not in made:
                    made["thoughtSignature"] = PLACEHOLDER_SIGNATURE
                    self._lose(where, "a call without a thought signature: sent with Google's placeholder for one")
            out.append(made)
        return out

    def _part(self, part: Part, where: str) -> dict[str, Any] | None:
        match part:
            case TextPart() | RefusalPart():
                beside = self._beside(part.opaque, where)
                return {"text": part.text, **beside} if part.text or beside else None
            case ThinkingPart():
                if part.opaque is None or part.opaque.provider != self._endpoint.provider:
                    self._lose(where, "reasoning goes back to the provider that wrote it only: left out")
                    return None
                return {"text": part.text, "thought": True, **part.opaque.data}
            case OpaquePart():
                if part.opaque.provider != self._endpoint.provider:
                    self._lose(
                        where, f"a {part.kind or 'block'} that only {part.opaque.provider} understands: left out"
                    )
                    return None
                return dict(part.opaque.data)
            case ToolCall():
                return self._call(part, where)
            case ToolResultPart():
                return self._result(part, where)
            case ImagePart() | AudioPart() | FilePart():
                return self._media(part, where)

    # -- media

    def _media(self, part: ImagePart | AudioPart | FilePart, where: str) -> dict[str, Any]:
        beside = self._beside(part.opaque, where)
        if isinstance(part, AudioPart):
            if part.data is None:
                raise self._cannot("audio by id", where, "give the audio's data")
            return {"inlineData": _blob(part.data, f"audio/{part.format}"), **beside}
        if isinstance(part, ImagePart) and part.detail in ("low", "high"):
            beside = {"mediaResolution": {"level": f"MEDIA_RESOLUTION_{part.detail.upper()}"}, **beside}
        if isinstance(part, FilePart) and part.filename is not None:
            self._lose(f"{where}.filename", "Google takes no names of files")
        if part.data is not None:
            if part.media_type is None:
                raise self._cannot("data without a media type", where, "say media_type=…")
            return {"inlineData": _blob(part.data, part.media_type), **beside}
        url = part.url or ""
        if isinstance(part, FilePart) and part.file_id is not None:
            url = part.file_id
            if url.startswith("files/"):
                url = f"{self._endpoint.base_url.rstrip('/')}/{url}"
        found = _DATA_URL.fullmatch(url)
        if found is not None:
            media_type = part.media_type or found.group(1) or "application/octet-stream"
            return {"inlineData": {"mimeType": media_type, "data": found.group(2)}, **beside}
        if url.startswith("data:"):
            raise self._cannot("a data URL that is not base64", where)
        file = {"fileUri": url}
        media_type = part.media_type or _media_type(url)
        if media_type is not None:
            file["mimeType"] = media_type
        return {"fileData": file, **beside}

    # -- tools

    def _call(self, call: ToolCall, where: str) -> dict[str, Any]:
        self._calls[call.id] = call
        beside = self._beside(call.opaque, where)
        arguments = dict(call.arguments)
        if call.kind == "custom":
            self._lose(where, "Google has no free-text tools: the text is sent as the argument `input`")
            arguments = {"input": call.raw_arguments}
        elif call.arguments_error is not None:
            self._lose(f"{where}.arguments", "they are no JSON object, which Google needs: sent without them")
        made: dict[str, Any] = {"name": call.name, "args": arguments}
        if call.id and not ("id" in beside and beside["id"] is None):
            made["id"] = call.id
        beside.pop("id", None)
        return {"functionCall": made, **beside}

    def _result(self, result: ToolResultPart, where: str) -> dict[str, Any]:
        call = self._calls.get(result.tool_call_id)
        name = call.name if call is not None else result.name
        if not name:
            raise InvalidRequestError(
                f"{where}: no tool call with the id {result.tool_call_id!r} stands before this result",
                provider=self._endpoint.provider,
                hint="Google wants the tool's name: keep the call in the history, or give the result its name",
            )
        made: dict[str, Any] = {"name": name}
        sent = self._call_id(call, result.tool_call_id)
        if sent is not None:
            made["id"] = sent
        attached: list[dict[str, Any]] = []
        content = result.content
        if not isinstance(content, str):
            texts: list[str] = []
            for j, part in enumerate(content):
                at = f"{where}.content[{j}]"
                if isinstance(part, TextPart):
                    texts.append(part.text)
                elif isinstance(part, ImagePart | AudioPart | FilePart):
                    media = self._media(part, at)
                    attached.append({k: media[k] for k in ("inlineData", "fileData") if k in media})
                else:
                    raise self._cannot(f"a {type(part).__name__} in a tool's result", at)
            content = "".join(texts)
        made["response"] = _response(content, is_error=result.is_error)
        if attached:
            made["parts"] = attached
        return {"functionResponse": made, **self._beside(result.opaque, where)}

    def _call_id(self, call: ToolCall | None, ident: str) -> str | None:
        """The id as it goes out; None where the call came without one."""
        own = call.opaque if call is not None else None
        came_without = own is not None and own.provider == self._endpoint.provider and own.data.get("id", "") is None
        return None if came_without or not ident else ident


def _blob(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mimeType": media_type, "data": base64.b64encode(data).decode("ascii")}


def _media_type(url: str) -> str | None:
    path = url.partition("?")[0].partition("#")[0]
    return _MEDIA_TYPES.get(path.rpartition(".")[2].lower()) if "/" in path else None


def _no_json(word: str) -> None:
    raise ValueError(word)


def _response(text: str, *, is_error: bool) -> Mapping[str, Any]:
    """A result that is a JSON object goes as it is; other text under ``output``, an error under ``error``."""
    if is_error:
        return {"error": text}
    if text.lstrip()[:1] == "{":
        try:
            value: object = json.loads(text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
    return {"output": text}
