"""Structured output: validated, or an error that says why and keeps the text."""

from __future__ import annotations

import pydantic
import pytest

from lexigram.ai.llm import JSONExtractor, StructuredExtractor
from lexigram.contracts.ai import Completion, RefusalPart
from lexigram.contracts.ai.errors import (
    ExtractionError,
    ExtractionRetriesError,
    ExtractionValidationError,
    InvalidRequestError,
    LLMContentFilterError,
    LLMRateLimitError,
)
from lexigram.contracts.result import Err, Ok
from lexigram.testing import FakeLLM

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


class Person(pydantic.BaseModel):
    name: str
    age: int | None = None


async def test_the_schema_goes_to_the_vendor_and_the_value_is_checked_here() -> None:
    llm = FakeLLM('{"name": "Ann"}')
    assert await JSONExtractor(llm_client=llm).extract("Ann is here", schema=SCHEMA) == Ok({"name": "Ann"})
    wanted = llm.requests[0].response_format
    assert wanted is not None
    assert (wanted.kind, wanted.schema) == ("json_schema", SCHEMA)


async def test_a_wrong_answer_is_asked_for_again_with_what_was_wrong() -> None:
    llm = FakeLLM('{"name": 5}', 'Sorry: {"name": "Ann"}')
    assert await JSONExtractor(llm_client=llm).extract("x", schema=SCHEMA) == Ok({"name": "Ann"})
    assert "name: 5 is not of type" in llm.requests[1].messages[-1].text


async def test_the_tries_are_bounded_and_all_causes_are_kept() -> None:
    llm = FakeLLM("no", '{"name": 1}', "[]")
    failed = await JSONExtractor(llm_client=llm, max_retries=2).extract("x", schema=SCHEMA)
    assert isinstance(failed, Err)
    assert isinstance(failed.err_value, ExtractionRetriesError)
    assert len(failed.err_value.causes) == 3
    assert failed.err_value.raw == "[]"
    once = await JSONExtractor(llm_client=FakeLLM('{"name": 1}'), max_retries=0).extract("x", schema=SCHEMA)
    assert isinstance(once, Err)
    assert isinstance(once.err_value, ExtractionValidationError)


@pytest.mark.parametrize(
    ("reply", "cls", "reason"),
    [
        (Completion(parts=(RefusalPart("I won't"),), finish_reason="refusal"), ExtractionError, "refusal"),
        (Completion('{"name": "A', finish_reason="length"), ExtractionError, "truncated"),
        (Completion("", finish_reason="content_filter"), LLMContentFilterError, None),
    ],
)
async def test_refusal_truncation_and_filter_are_told_apart_and_not_asked_again(
    reply: Completion, cls: type[Exception], reason: str | None
) -> None:
    llm = FakeLLM(reply)
    failed = await JSONExtractor(llm_client=llm).extract("x", schema=SCHEMA)
    assert isinstance(failed, Err)
    assert isinstance(failed.err_value, cls)
    assert getattr(failed.err_value, "reason", None) == reason
    assert len(llm.requests) == 1


async def test_a_vendor_without_schemas_is_told_in_words_and_still_checked() -> None:
    llm = FakeLLM(InvalidRequestError("response_format: has no json_schema here"), '```json\n{"name": "Ann",}\n```')
    assert await JSONExtractor(llm_client=llm).extract("x", schema=SCHEMA) == Ok({"name": "Ann"})
    assert llm.requests[1].response_format is None
    assert '"required"' in llm.requests[1].messages[0].text


async def test_a_failed_call_is_returned_as_it_is() -> None:
    error = LLMRateLimitError("slow down")
    failed = await JSONExtractor(llm_client=FakeLLM(error)).extract("x", schema=SCHEMA)
    assert isinstance(failed, Err)
    assert isinstance(failed.err_value, LLMRateLimitError)


async def test_without_a_schema_any_json_will_do() -> None:
    llm = FakeLLM("[1, 2]")
    assert await JSONExtractor(llm_client=llm).extract("x") == Ok([1, 2])


async def test_a_pydantic_model_comes_back_as_itself() -> None:
    llm = FakeLLM('{"name": "Ann", "age": "old"}', '{"name": "Ann", "age": 7}')
    assert await StructuredExtractor(llm_client=llm).extract("Who?", Person) == Ok(Person(name="Ann", age=7))
    assert llm.requests[0].response_format is not None
    assert llm.requests[0].response_format.name == "Person"
