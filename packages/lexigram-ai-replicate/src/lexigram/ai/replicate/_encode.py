"""Requests of the predictions wire, and the flow that follows a prediction to its end."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

from lexigram.ai.replicate._decode import decode_error, prediction_id, read_prediction
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.messages import ChatMessage, OpaquePart, RefusalPart, TextPart, ThinkingPart
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire import Endpoint, Flow, HttpRequest, Loss, Sleep
from lexigram.contracts.wire.flows import exchange
from lexigram.contracts.wire.shapes import merged, refuse_options, refused, unsupported

__all__ = ["encode_flow", "encode_health", "encode_request"]

_SAME_NAME: Final = ("max_tokens", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed")
_CARRIED: Final = (*_SAME_NAME, "stop_sequences")
_VERSION: Final = re.compile(r"[0-9a-f]{64}")
_SPEAKERS: Final = {"user": "User", "assistant": "Assistant"}
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 5.0


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a look at the account: it needs the key and costs nothing."""
    return HttpRequest("GET", f"{endpoint.base_url.rstrip('/')}/account")


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request that creates the prediction; :func:`encode_flow` follows it to its end.

    The model is ``owner/name``, ``owner/name:version``, a version, or ``deployments/owner/name``. Every model has an
    input of its own; what language models share goes under its usual name (``prompt``, ``system_prompt``,
    ``max_tokens`` …), the rest through ``extra_body={"input": …}``, which is merged last.

    Raises:
        InvalidRequestError: for an option or part that the wire cannot carry, by its name; for a stream.
    """
    if stream:
        hint = "call complete(): a stream is a second request, to an address in the first one's reply"
        raise refused("stream", endpoint, hint)
    refuse_options(request, _CARRIED, endpoint)
    losses: list[Loss] = []
    fields = _prompt(request.messages, endpoint, losses)
    for name in _SAME_NAME:
        value = getattr(request, name)
        if value is not None:
            fields[name] = value
    if request.stop_sequences:
        if any("," in stop for stop in request.stop_sequences):
            raise refused("stop_sequences: a comma", endpoint, "the wire has them in one text, commas between them")
        fields["stop_sequences"] = ",".join(request.stop_sequences)
    path, body = _target(request.model)
    body["input"] = fields
    if request.extra_body:
        body = merged(body, request.extra_body)
    headers = dict(request.extra_headers or {})
    return HttpRequest("POST", f"{endpoint.base_url.rstrip('/')}/{path}", headers, body, losses=tuple(losses))


def _target(model: str) -> tuple[str, dict[str, Any]]:
    """Return the path and the beginning of the body: a version is named in the body, a model in the path."""
    name, _, version = model.rpartition(":")
    if _VERSION.fullmatch(version) or name:
        return "predictions", {"version": version}
    if model.startswith("deployments/"):
        return f"deployments/{quote(model.removeprefix('deployments/'))}/predictions", {}
    return f"models/{quote(model)}/predictions", {}


def _prompt(messages: tuple[ChatMessage, ...], endpoint: Endpoint, losses: list[Loss]) -> dict[str, Any]:
    """Return ``prompt`` and ``system_prompt``. One message is the prompt as it is; several are written into it."""
    instructions: list[str] = []
    turns: list[tuple[str, str]] = []
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        text = _text(message, where, endpoint, losses)
        if message.role in ("system", "developer"):
            instructions.append(text)
        elif message.role in _SPEAKERS:
            turns.append((message.role, text))
        else:
            raise unsupported(f"a {message.role} message", where, endpoint)
    if len(turns) == 1:
        prompt = turns[0][1]
    else:
        why = "the wire has one prompt: the turns are written into it, each behind its speaker's name"
        losses.append(Loss("messages", why))
        prompt = "\n\n".join([*[f"{_SPEAKERS[role]}: {text}" for role, text in turns], "Assistant:"])
    fields: dict[str, Any] = {"prompt": prompt}
    if instructions:
        fields["system_prompt"] = "\n\n".join(instructions)
    return fields


def _text(message: ChatMessage, where: str, endpoint: Endpoint, losses: list[Loss]) -> str:
    out: list[str] = []
    for i, part in enumerate(message.parts):
        place = f"{where}.content[{i}]"
        match part:
            case TextPart() | RefusalPart():
                out.append(part.text)
            case ThinkingPart() | OpaquePart():
                losses.append(Loss(place, "the wire has text only; earlier reasoning and blocks are left out"))
            case _:
                hint = 'models name their inputs themselves: extra_body={"input": {"image": …}}'
                raise unsupported(f"a {type(part).__name__}", place, endpoint, hint)
    return "".join(out)


def encode_flow(request: CompletionRequest, endpoint: Endpoint) -> Flow[Completion]:
    """Return the flow of a call: create, then ask with growing pauses (0.5 … 5 s) until the prediction has ended.

    The address asked is made from the base URL and the prediction's id, never taken from the reply: the key stays
    with its host. The call's deadline ends the waiting; the prediction itself is not cancelled.

    Raises:
        LLMError: the typed error of a failed or cancelled prediction, its output so far in ``partial``.
    """
    create = encode_request(request, endpoint, stream=False)
    body = yield from exchange(create, endpoint, decode_error)
    ident, wait = prediction_id(body, endpoint), _FIRST_WAIT
    while (made := read_prediction(body, endpoint)) is None:
        yield Sleep(wait)
        wait = min(wait * 1.5, _LONGEST_WAIT)
        url = f"{endpoint.base_url.rstrip('/')}/predictions/{quote(ident, safe='')}"
        body = yield from exchange(HttpRequest("GET", url), endpoint, decode_error)
    return made
