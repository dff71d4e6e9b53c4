"""What a Google answer says, read from the same bytes by somebody else.

``sdk`` reads with the types of the official google-genai SDK, an event after the other, as its users add them up.
Where that reader provably cannot be right, ``sdk_unfit`` says why, from the JSON alone, and ``plain`` reads instead:
a naive reader that shares no code and no idea with the dialect.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any

from google.genai import types

Call = tuple[str | None, str, Any]


@dataclass
class Reading:
    text: str = ""
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    finish: str | None = None
    usage: tuple[int, int, int | None] | None = None
    model: str = ""
    logprobs: int = 0


def _usage(prompt: Any, tools: Any, said: Any, thoughts: Any, total: Any) -> tuple[int, int, int | None] | None:
    if prompt is None and total is None:
        return None
    return ((prompt or 0) + (tools or 0), (said or 0) + (thoughts or 0), total)


def _unsigned(message: dict[str, Any]) -> dict[str, Any]:
    """A copy without signatures: recorded ones may be replaced by words, and they are compared as text anyway."""
    out = copy.deepcopy(message)
    for candidate in out.get("candidates") or []:
        for part in (candidate.get("content") or {}).get("parts") or []:
            part.pop("thoughtSignature", None)
    return out


def sdk(messages: list[Any], index: int = 0) -> Reading:
    out = Reading()
    for message in messages:
        # The way of the SDK's own client: it leaves out what its types do not know.
        made = types.GenerateContentResponse._from_response(response=_unsigned(message), kwargs={})
        out.model = made.model_version or out.model
        u = made.usage_metadata
        if u is not None:
            out.usage = (
                _usage(
                    u.prompt_token_count,
                    u.tool_use_prompt_token_count,
                    u.candidates_token_count,
                    u.thoughts_token_count,
                    u.total_token_count,
                )
                or out.usage
            )
        for candidate in made.candidates or []:
            if (candidate.index or 0) != index:
                continue
            out.finish = candidate.finish_reason.value if candidate.finish_reason else out.finish
            if candidate.logprobs_result:
                out.logprobs += len(candidate.logprobs_result.chosen_candidates or [])
            for part in (candidate.content.parts if candidate.content else None) or []:
                if part.function_call is not None:
                    call = part.function_call
                    out.calls.append((call.id, call.name or "", call.args or {}))
                elif part.text is not None and part.thought:
                    out.thinking += part.text
                elif part.text is not None:
                    out.text += part.text
    return out


def sdk_unfit(messages: list[Any]) -> str | None:
    """Say why the SDK's reading of these bytes is no measure, or None. Decided by the bytes, not by a difference."""
    for message in messages:
        for candidate in message.get("candidates") or []:
            if isinstance(candidate.get("finishReason"), int):
                return "enums are numbers, which the SDK's enums do not know"
            for part in (candidate.get("content") or {}).get("parts") or []:
                call = part.get("functionCall")
                if call is not None and (call.get("willContinue") or not call.get("name")):
                    return "arguments in pieces: the SDK leaves adding them up to its users"
    return None


_NUMBERED = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY"}


def plain(messages: list[Any], index: int = 0) -> Reading:
    out = Reading()
    for message in messages:
        u = message.get("usageMetadata") or {}
        names = (
            "promptTokenCount",
            "toolUsePromptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "totalTokenCount",
        )
        out.usage = _usage(*[u.get(name) for name in names]) or out.usage
        out.model = message.get("modelVersion") or out.model
        for candidate in message.get("candidates") or []:
            if candidate.get("index", 0) != index:
                continue
            word = candidate.get("finishReason")
            out.finish = _NUMBERED.get(word, word) or out.finish
            out.logprobs += len((candidate.get("logprobsResult") or {}).get("chosenCandidates") or [])
            for part in (candidate.get("content") or {}).get("parts") or []:
                if part.get("thoughtSignature"):
                    out.signatures.append(part["thoughtSignature"])
                call = part.get("functionCall")
                if call is None and "text" in part:
                    if part.get("thought"):
                        out.thinking += part["text"]
                    else:
                        out.text += part["text"]
                elif call is not None and call.get("name"):
                    out.calls.append((call.get("id"), call["name"], dict(call.get("args") or {})))
                elif call is not None:
                    for piece in call.get("partialArgs") or []:
                        _place(out.calls[-1][2], piece)
    return out


def _place(arguments: Any, piece: dict[str, Any]) -> None:
    keys: list[Any] = [int(k) if k.isdigit() else k for k in re.findall(r"[^.\[\]$]+", piece["jsonPath"])]
    for key, following in zip(keys, keys[1:], strict=False):
        if isinstance(arguments, list):
            if key == len(arguments):
                arguments.append([] if isinstance(following, int) else {})
            arguments = arguments[key]
        else:
            arguments = arguments.setdefault(key, [] if isinstance(following, int) else {})
    value = next(v for k, v in piece.items() if k.endswith("Value"))
    old = arguments.get(keys[-1])
    arguments[keys[-1]] = old + value if isinstance(old, str) else value
