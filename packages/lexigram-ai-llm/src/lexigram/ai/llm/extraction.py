"""Structured values from a model: asked for with the vendor's own schema support, checked, asked again if wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from lexigram.ai.llm.parsers import JSONParser, PydanticParser
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import (
    ExtractionError,
    ExtractionRetriesError,
    ExtractionValidationError,
    InvalidRequestError,
    LLMContentFilterError,
    LLMError,
)
from lexigram.contracts.ai.messages import ChatMessage
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.ai.request import ResponseFormat
from lexigram.contracts.result import Err, Ok, Result

__all__ = ["JSONExtractor", "StructuredExtractor"]

T = TypeVar("T")

_TASK = "Take the wanted values from the text below. Leave out or set to null what the text does not say.\n\n"


class JSONExtractor:
    """Takes values out of a text, as JSON that fits a schema.

    Args:
        llm_client: the model to ask.
        max_retries: how often to ask again, telling the model what was wrong.
        model: instead of the client's default.
    """

    def __init__(self, llm_client: LLMClientProtocol, *, max_retries: int = 2, model: str | None = None) -> None:
        self._asker = _Asker[Any](llm_client, max_retries, model)

    async def extract(self, text: str, schema: Mapping[str, Any] | None = None) -> Result[Any, LLMError]:
        """Return the JSON value; with a schema it has been checked against it.

        A refusal, an answer cut off and an answer that never fitted are told apart by the error's ``reason``.
        """
        check = _schema_check(schema) if schema is not None else _any_json
        return await self._asker.ask(_TASK + text, schema, check)


class StructuredExtractor:
    """Has a model answer with a value of a type: a pydantic model, dataclass, TypedDict or any type pydantic knows.

    Args:
        llm_client: the model to ask.
        max_retries: how often to ask again, telling the model what was wrong.
        model: instead of the client's default.
    """

    def __init__(self, llm_client: LLMClientProtocol, *, max_retries: int = 2, model: str | None = None) -> None:
        self._client = llm_client
        self._retries = max_retries
        self._model = model

    async def extract(self, prompt: str, output_model: type[T]) -> Result[T, LLMError]:
        """Return the validated value; see :meth:`JSONExtractor.extract` for the errors."""
        parser = PydanticParser(output_model)
        name = getattr(output_model, "__name__", "response")
        return await _Asker[T](self._client, self._retries, self._model).ask(
            prompt, parser.schema(), parser.parse, name
        )


def _any_json(text: str) -> Result[Any, ExtractionError]:
    return JSONParser().parse(text)


def _schema_check(schema: Mapping[str, Any]) -> Callable[[str], Result[Any, ExtractionError]]:
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(dict(schema))

    def check(text: str) -> Result[Any, ExtractionError]:
        parsed = JSONParser().parse(text)
        if isinstance(parsed, Err):
            return parsed
        problems = [
            f"{'.'.join(map(str, e.instance_path)) or 'value'}: {e.message}"
            for e in validator.iter_errors(parsed.ok_value)
        ]
        if problems:
            return Err(
                ExtractionValidationError(
                    "the answer does not fit the schema: " + "; ".join(problems[:5]), raw=text, problems=problems
                )
            )
        return parsed

    return check


class _Asker(Generic[T]):
    """The loop of both extractors: ask, check, ask again with what was wrong."""

    def __init__(self, client: LLMClientProtocol, max_retries: int, model: str | None) -> None:
        self._client = client
        self._retries = max_retries
        self._model = model
        self._native = True

    async def ask(
        self,
        prompt: str,
        schema: Mapping[str, Any] | None,
        check: Callable[[str], Result[T, ExtractionError]],
        name: str = "response",
    ) -> Result[T, LLMError]:
        messages = [ChatMessage("user", prompt)]
        causes: list[LLMError] = []
        while True:
            answer = await self._complete(messages, schema, name)
            if isinstance(answer, Err):
                return answer
            completion = answer.ok_value
            stopped = _stopped(completion)
            if stopped is not None:
                return Err(stopped)
            value = check(completion.content)
            if isinstance(value, Ok):
                return value
            error = value.err_value
            error.provider, error.model, error.attempts = completion.provider, completion.model, completion.attempts
            causes.append(error)
            if len(causes) > self._retries:
                if len(causes) == 1:
                    return Err(error)
                return Err(
                    ExtractionRetriesError(
                        f"the answer was wrong in all {len(causes)} tries; last: {error.message}",
                        raw=completion.content,
                        causes=causes,
                        provider=completion.provider,
                        model=completion.model,
                    )
                )
            messages = [
                *messages,
                ChatMessage("assistant", completion.content or "(nothing)"),
                ChatMessage(
                    "user", f"That is wrong: {error.message}\nAnswer again, with the corrected JSON value only."
                ),
            ]

    async def _complete(
        self, messages: list[ChatMessage], schema: Mapping[str, Any] | None, name: str
    ) -> Result[Completion, LLMError]:
        if self._native:
            wanted = (
                ResponseFormat("json_object")
                if schema is None
                else ResponseFormat("json_schema", schema, _safe_name(name))
            )
            instructed = messages if schema is not None else _instructed(messages, None)
            answer = await self._client.complete(instructed, model=self._model, response_format=wanted)
            if not (isinstance(answer, Err) and _refuses_format(answer.err_value)):
                return answer
            self._native = False
        return await self._client.complete(_instructed(messages, schema), model=self._model)


def _instructed(messages: list[ChatMessage], schema: Mapping[str, Any] | None) -> list[ChatMessage]:
    wanted = "Answer with one JSON value and nothing else."
    if schema is not None:
        wanted = f"Answer with one JSON value that fits this JSON schema, and nothing else:\n{json.dumps(schema)}"
    return [ChatMessage("system", wanted), *messages]


def _safe_name(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:64] or "response"


def _refuses_format(error: LLMError) -> bool:
    """Whether the provider has no such format; the Responses API names it ``text.format``."""
    named = "response_format" in error.message or "text.format" in error.message
    return isinstance(error, InvalidRequestError) and named


def _stopped(completion: Completion) -> LLMError | None:
    fields: dict[str, Any] = {
        "provider": completion.provider,
        "model": completion.model,
        "attempts": completion.attempts,
    }
    if completion.finish_reason == "content_filter":
        return LLMContentFilterError("the provider's filter stopped the answer", partial=completion, **fields)
    if completion.finish_reason == "refusal":
        said = completion.refusal or completion.content
        return ExtractionError(f"the model refused: {said}", raw=said, reason="refusal", **fields)
    if completion.finish_reason == "length":
        hint = "raise max_tokens"
        return ExtractionError(
            "the answer was cut off at its token limit", raw=completion.content, reason="truncated", hint=hint, **fields
        )
    return None
