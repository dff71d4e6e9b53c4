"""Predictions, the events of their streams, and errors, as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Completion, StreamChunk, Usage
from lexigram.contracts.ai.errors import LLMError, ProviderServerError, StreamError
from lexigram.contracts.ai.messages import FilePart, Part, TextPart
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpResponse, StreamState
from lexigram.contracts.wire.errors import error_from_body
from lexigram.contracts.wire.shapes import as_count, as_dict, as_text, bad_shape

__all__ = [
    "PredictionStreamState",
    "decode_error",
    "decode_event",
    "decode_response",
    "new_stream_state",
    "prediction_id",
    "read_prediction",
]

_RUNNING: Final = frozenset({"starting", "processing", "queued"})
_NOTHING: Final[tuple[StreamChunk, ...]] = ()


def prediction_id(body: JSON, endpoint: Endpoint) -> str:
    """Return the id to ask for.

    Raises:
        DecodeError: with reason ``bad_shape``, where there is none.
    """
    ident = as_text(as_dict(body).get("id"))
    if not ident:
        raise bad_shape("the reply is no prediction: it has no id", endpoint)
    return ident


def read_prediction(body: JSON, endpoint: Endpoint) -> Completion | None:
    """Return the answer of a prediction that succeeded, None of one that still runs.

    A running prediction may show its whole output already; it has ended only when its status says so.

    Raises:
        LLMError: the typed error of one that failed or was cancelled, its output so far in ``partial``.
        DecodeError: with reason ``bad_shape``.
    """
    data = as_dict(body)
    status = as_text(data.get("status"))
    if not status:
        raise bad_shape("the reply is no prediction: it has no status", endpoint)
    if status in _RUNNING:
        return None
    made = Completion(
        parts=_parts(data.get("output")),
        finish_reason="stop" if status == "succeeded" else "error",
        raw_finish_reason=status,
        usage=_usage(data.get("metrics")),
        model=as_text(data.get("model")),
        provider=endpoint.provider,
        id=as_text(data.get("id")) or None,
        raw=data,
    )
    if status == "succeeded":
        return made
    said = as_text(data.get("error")) or f"the prediction ended as {status}"
    error = error_from_body(None, {"message": said}, provider=endpoint.provider, default=ProviderServerError)
    error.provider_code, error.partial = status, made
    raise error


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    """Return the answer of a prediction that succeeded.

    Raises:
        LLMError: as :func:`read_prediction`.
        DecodeError: with reason ``bad_shape``, also for a prediction that still runs, which is no answer yet.
    """
    made = read_prediction(body, endpoint)
    if made is None:
        error = bad_shape("the prediction still runs; it has no answer yet", endpoint)
        error.hint = "drive encode_flow, which asks until it has ended"
        raise error
    return made


def _parts(output: object) -> tuple[Part, ...]:
    """Output is tokens in a list, text, null, addresses of files in a list, or any other JSON."""
    if output is None:
        return ()
    if isinstance(output, str):
        return (TextPart(output),) if output else ()
    if isinstance(output, list) and all(isinstance(item, str) for item in output):
        if output and all(item.startswith(("https://", "http://")) for item in output):
            return tuple([FilePart(url=item) for item in output])
        text = "".join(output)
        return (TextPart(text),) if text else ()
    return (TextPart(json.dumps(output, ensure_ascii=False)),)


def _usage(metrics: object) -> Usage:
    """Language models count their tokens in ``metrics``; others do not."""
    found = as_dict(metrics)
    given, output = as_count(found.get("input_token_count")), as_count(found.get("output_token_count"))
    if given is None and output is None:
        return UNKNOWN_USAGE
    total = given + output if given is not None and output is not None else None
    return Usage(given, output, total, source="reported")


# -- streams


class PredictionStreamState(StreamState):
    """``done`` ends the output, and nothing follows it."""

    __slots__ = ("endpoint",)

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint


def new_stream_state(endpoint: Endpoint) -> PredictionStreamState:
    """Return the state of a fresh stream."""
    return PredictionStreamState(endpoint)


def decode_event(name: str | None, data: Any, state: PredictionStreamState) -> Sequence[StreamChunk]:
    """Return what one event adds: ``output`` is text, taken as it is; ``done`` says in JSON why it ended.

    Raises:
        LLMError: the typed error that the event reports.
        DecodeError: with reason ``bad_shape``.
    """
    if not isinstance(data, str):
        raise bad_shape(f"the event's data is no text but {type(data).__name__}", state.endpoint)
    match name:
        case "output":
            return (StreamChunk(data, block=0),) if data else _NOTHING
        case "error":
            raise _stream_error(data, state.endpoint)
        case "done":
            reason = as_text(as_dict(_json(data)).get("reason"))
            if reason:
                raise _stream_error(f"the prediction ended: {reason}", state.endpoint)
            state.finished = state.closed = True
            return (StreamChunk(finish_reason="stop", raw_finish_reason="done"),)
        case _:
            return _NOTHING


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _stream_error(text: str, endpoint: Endpoint) -> LLMError:
    error = error_from_body(None, _json(text), provider=endpoint.provider, default=StreamError)
    if isinstance(error, StreamError):
        error.reason = "error"
    return error


# -- errors


def decode_error(response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
    """Return the typed error of a reply that is not 2xx: problem+json with ``title``, ``detail`` and ``status``."""
    return error_from_body(response.status, body, provider=endpoint.provider, headers=response.headers)
