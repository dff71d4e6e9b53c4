"""Answers of the generateContent wire. A stream's event and a whole body are the same message, read by the same code.

A whole body is read as a stream of one event, so that both give the same completion. Text parts in a row are one
part, as a stream cuts them anywhere; a part with a thought signature stays alone, for Google wants it back with
exactly that part ("Thought signatures" in the Gemini API's guide).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lexigram.ai.google._arguments import PartialArguments
from lexigram.ai.google._values import (
    as_dict,
    as_list,
    as_text,
    decode_usage,
    finish_reason,
    json_text,
    logprob_entries,
    made_up_id,
)
from lexigram.contracts.ai.completion import Completion, FinishReason, StreamChunk, ToolCallDelta
from lexigram.contracts.ai.errors import DecodeError, LLMContentFilterError, LLMError, ProviderServerError, StreamError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
)
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpResponse, StreamState
from lexigram.contracts.wire.errors import error_from_body

__all__ = ["GenerateStreamState", "decode_error", "decode_event", "decode_response", "new_stream_state"]

_Fields = dict[str, Any]
_DATA: Final = (
    "text", "functionCall", "inlineData", "fileData", "executableCode", "codeExecutionResult", "toolCall",
    "toolResponse", "functionResponse",
)  # fmt: skip
_NOTES: Final = ("groundingMetadata", "citationMetadata", "urlContextMetadata")
_BLOCKED_HINT: Final = "the prompt was blocked, nothing was answered: change it, or safetySettings in extra_body"


class _Call:
    """A function call whose arguments still come."""

    __slots__ = ("arguments", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        self.arguments = PartialArguments()


class _Candidate:
    """What has to be remembered of one candidate."""

    __slots__ = ("block", "calls", "finished", "kind", "last_is_text", "marked", "notes", "open")

    def __init__(self) -> None:
        self.block = -1
        self.kind: type[TextPart] | type[ThinkingPart] | None = None  # of the run that text goes on with
        self.marked = False  # the run's opaque data has been said
        self.last_is_text = False  # the latest part is text, whether it can go on or not
        self.calls = 0
        self.open: _Call | None = None
        self.notes: list[Any] = []
        self.finished = False

    def run(self, kind: type[TextPart] | type[ThinkingPart], *, alone: bool) -> int:
        """Return the block of a piece of text: of the run so far, or of a new one."""
        if alone or kind is not self.kind:
            self.block += 1
            self.marked = False
        self.kind = None if alone else kind
        self.last_is_text = kind is TextPart
        return self.block

    def interrupt(self) -> None:
        """Note a part that is neither text nor thinking: text after it is another part."""
        self.kind = None
        self.last_is_text = False


class GenerateStreamState(StreamState):
    """``finished`` is set when every candidate seen has given a reason to finish."""

    __slots__ = ("candidates", "endpoint", "id")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.candidates: dict[int, _Candidate] = {}
        self.id = ""


def new_stream_state(endpoint: Endpoint) -> GenerateStreamState:
    """Return the state of a fresh stream."""
    return GenerateStreamState(endpoint)


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    """Return the answer of a whole 2xx body: one message, or the array of a stream that was not asked for as SSE.

    A candidate that a filter stopped, before its first word or after, is an answer whose finish reason is
    ``content_filter``; a blocked prompt has no candidate and is an error.

    Raises:
        LLMContentFilterError: for a blocked prompt.
        LLMError: the typed error that the body stands for.
        DecodeError: with reason ``bad_shape``, where there is no candidate to read.
    """
    messages = body if isinstance(body, list) else [body]
    state, fold = GenerateStreamState(endpoint), CompletionFold(provider=endpoint.provider)
    try:
        for message in messages:
            for chunk in _decode(message, state):
                fold.add(chunk)
    except StreamError as error:
        raise ProviderServerError(
            error.message, provider=error.provider, provider_code=error.provider_code, partial=fold.completion()
        ) from None
    if not state.candidates:
        raise DecodeError(
            "the reply is no answer: it has no candidates",
            reason="bad_shape",
            provider=endpoint.provider,
            retryable=True,
        )
    return replace(fold.completion(), raw=body)


def decode_event(name: str | None, data: Any, state: GenerateStreamState) -> Sequence[StreamChunk]:
    """Return what one event adds; ``name`` is not used on this wire.

    Raises:
        LLMContentFilterError: for a blocked prompt.
        LLMError: the typed error that the event reports.
        DecodeError: with reason ``bad_shape``.
    """
    return _decode(data, state)


def _decode(data: Any, state: GenerateStreamState) -> Sequence[StreamChunk]:
    endpoint = state.endpoint
    if isinstance(data, list) and any("error" in as_dict(item) for item in data):
        data = next(item for item in data if "error" in as_dict(item))
    if not isinstance(data, dict):
        what = f"the reply is no answer: expected a JSON object, got {type(data).__name__}"
        raise DecodeError(what, reason="bad_shape", provider=endpoint.provider)
    event: Mapping[str, Any] = data
    if event.get("error"):
        raise _error_inside(event, endpoint)
    feedback = as_dict(event.get("promptFeedback"))
    blocked = feedback.get("blockReason")
    candidates = as_list(event.get("candidates"))
    if blocked and blocked != "BLOCK_REASON_UNSPECIFIED" and not candidates:
        said = as_text(feedback.get("blockReasonMessage"))
        raise LLMContentFilterError(
            f"the prompt was blocked ({blocked}){': ' if said else ''}{said}",
            provider=endpoint.provider,
            provider_code=str(blocked),
            hint=_BLOCKED_HINT,
            details={"promptFeedback": feedback},
        )
    state.id = as_text(event.get("responseId")) or state.id
    pieces: list[_Fields] = []
    for position, candidate in enumerate(candidates):
        if not isinstance(candidate, dict):
            what = f"a candidate is no object but {type(candidate).__name__}"
            raise DecodeError(what, reason="bad_shape", provider=endpoint.provider)
        pieces += _candidate(candidate, position, state)
    usage = decode_usage(event.get("usageMetadata"))
    if usage is not None:
        if not pieces:
            pieces.append({})
        pieces[-1]["usage"] = usage
    seen: _Fields = {
        "model": as_text(event.get("modelVersion")) or None,
        "id": as_text(event.get("responseId")) or None,
    }
    return tuple([StreamChunk(**seen, **piece) for piece in pieces])


def _candidate(candidate: Mapping[str, Any], position: int, state: GenerateStreamState) -> list[_Fields]:
    raw_index = candidate.get("index")
    index = raw_index if isinstance(raw_index, int) and not isinstance(raw_index, bool) and raw_index >= 0 else position
    memory = state.candidates.get(index)
    if memory is None:
        memory = state.candidates[index] = _Candidate()
    content = as_dict(candidate.get("content"))
    out: list[_Fields] = []
    for part in as_list(content.get("parts")):
        if isinstance(part, dict):
            out += _part(part, memory, index, state)
    out += _notes(candidate, memory)
    reason, word = finish_reason(candidate.get("finishReason"))
    if reason is not None and memory.open is not None:
        out.append(_closing(memory, reason))
    logprobs = logprob_entries(candidate.get("logprobsResult"))
    role = "assistant" if content.get("role") == "model" else None
    if not out and (reason is not None or logprobs or role is not None):
        out.append({})
    if out:
        out[0]["role"] = role
        out[0]["logprobs"] = logprobs
        if reason is not None:
            out[-1]["finish_reason"] = reason
            out[-1]["raw_finish_reason"] = word
    for piece in out:
        piece["index"] = index
    memory.finished = memory.finished or reason is not None
    state.finished = all(c.finished for c in state.candidates.values())
    return out


def _closing(memory: _Candidate, reason: FinishReason) -> _Fields:
    """End a call that its own wire did not end: whole where the answer ended well, else cut off."""
    call, memory.open = memory.open, None
    assert call is not None
    text = call.arguments.text(whole=reason == "stop")
    return {"tool_call_delta": ToolCallDelta(call.position, arguments=text)}


def _notes(candidate: Mapping[str, Any], memory: _Candidate) -> list[_Fields]:
    """Sources and citations become annotations of the text before them, as Google wrote them, each once."""
    found: list[Mapping[str, Any]] = []
    for name in _NOTES:
        value = candidate.get(name)
        note = {name: value}
        if isinstance(value, dict) and value and note not in memory.notes:
            memory.notes.append(note)
            found.append(note)
    if not found:
        return []
    if not memory.last_is_text:
        memory.run(TextPart, alone=False)
    return [{"part": TextPart("", tuple(found)), "block": memory.block}]


# -- parts


def _part(part: Mapping[str, Any], memory: _Candidate, index: int, state: GenerateStreamState) -> list[_Fields]:
    kind = next((name for name in _DATA if name in part), None)
    if kind is None:
        others = [name for name in part if name not in ("thought", "thoughtSignature", "partMetadata", "videoMetadata")]
        kind = others[0] if others else "text"
    # Whatever stands beside the data (the signature above all) belongs to this very part.
    beside = {name: value for name, value in part.items() if name != kind}
    provider = state.endpoint.provider
    if kind == "text":
        return _text(as_text(part.get("text")), beside, memory, provider)
    if kind == "functionCall":
        return _function_call(as_dict(part.get("functionCall")), beside, memory, index, state)
    memory.interrupt()
    made = _media(kind, as_dict(part.get(kind)), Opaque(provider, beside) if beside else None)
    return [{"part": made or OpaquePart(Opaque(provider, dict(part)), kind)}]


def _text(text: str, beside: _Fields, memory: _Candidate, provider: str) -> list[_Fields]:
    thought = bool(beside.pop("thought", False))
    if not text and not beside:
        return []
    cls = ThinkingPart if thought else TextPart
    block = memory.run(cls, alone=bool(beside))
    out: _Fields = {"thinking_delta" if thought else "delta": text, "block": block}
    # Thoughts are marked as the provider's own even when nothing stands beside them: nobody else is sent them.
    if (beside or thought) and not memory.marked:
        memory.marked = True
        out["part"] = cls("", opaque=Opaque(provider, beside))
    return [out]


def _function_call(
    call: Mapping[str, Any], beside: _Fields, memory: _Candidate, index: int, state: GenerateStreamState
) -> list[_Fields]:
    memory.interrupt()
    provider = state.endpoint.provider
    name, goes_on = as_text(call.get("name")), bool(call.get("willContinue"))
    out: list[_Fields] = []
    current = memory.open
    if name or current is None:
        if not name:
            if call.get("args") or call.get("partialArgs"):
                raise DecodeError("arguments came for no function call", reason="bad_shape", provider=provider)
            return []  # an end without a beginning
        if current is not None:
            out.append(_closing(memory, "stop"))
        current = memory.open = _Call(memory.calls)
        memory.calls += 1
        ident = as_text(call.get("id"))
        if not ident:
            # Remembered as made up, so that the call goes back without an id, as it came.
            beside["id"] = None
            ident = made_up_id(state.id or json_text([name, call.get("args"), beside]), index, current.position)
        opaque = Opaque(provider, beside) if beside else None
        out.append({"tool_call_delta": ToolCallDelta(current.position, ident, name, opaque=opaque)})
    elif beside:
        out.append({"tool_call_delta": ToolCallDelta(current.position, opaque=Opaque(provider, beside))})
    current.arguments.add(call)
    if not goes_on:
        out.append(_closing(memory, "stop"))
    elif not out:
        out.append({"tool_call_delta": ToolCallDelta(current.position)})
    return _joined(out)


def _joined(pieces: list[_Fields]) -> list[_Fields]:
    """A call that came whole is one chunk."""
    if len(pieces) == 2:
        first, last = pieces[0]["tool_call_delta"], pieces[1]["tool_call_delta"]
        if first.index == last.index and not first.arguments:
            return [{"tool_call_delta": replace(first, arguments=last.arguments)}]
    return pieces


def _media(kind: str, data: Mapping[str, Any], opaque: Opaque | None) -> Part | None:
    """Return the media part, or None where ours could not give the same bytes back."""
    media_type = as_text(data.get("mimeType"))
    if kind == "fileData" and data.keys() == {"fileUri", "mimeType"} and as_text(data["fileUri"]) and media_type:
        return FilePart(url=data["fileUri"], media_type=media_type, opaque=opaque)
    if kind != "inlineData" or data.keys() != {"data", "mimeType"} or not media_type:
        return None
    text = as_text(data["data"])
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not content or base64.b64encode(content).decode("ascii") != text:
        return None
    family, _, rest = media_type.partition("/")
    if family == "image":
        return ImagePart(data=content, media_type=media_type, opaque=opaque)
    if family == "audio" and rest:
        return AudioPart(data=content, format=rest, opaque=opaque)
    return FilePart(data=content, media_type=media_type, opaque=opaque)


# -- errors


def decode_error(response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
    """Return the typed error of a reply that is not 2xx. ``body`` is its JSON, else its text.

    ``provider_code`` is Google's own word: the reason of its details (``API_KEY_INVALID``), else its status.
    """
    error = error_from_body(response.status, body, provider=endpoint.provider, headers=response.headers)
    error.provider_code = _word(body) or error.provider_code
    return error


def _word(body: object) -> str | None:
    first = body[0] if isinstance(body, list) and body else body
    error = as_dict(as_dict(first).get("error"))
    reasons = [as_text(as_dict(d).get("reason")) for d in as_list(error.get("details"))]
    return next((r for r in reasons if r), None) or as_text(error.get("status")) or None


def _error_inside(body: Mapping[str, Any], endpoint: Endpoint) -> LLMError:
    error = error_from_body(None, body, provider=endpoint.provider, default=StreamError)
    error.provider_code = _word(body) or error.provider_code
    if isinstance(error, StreamError):
        error.reason = "error"
    return error
