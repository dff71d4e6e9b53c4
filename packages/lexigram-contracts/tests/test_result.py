"""Result: PyPI's classes stay recognisable, every combinator stays ours."""

from __future__ import annotations

import copy
import json
import pickle

import pydantic
import pytest
import result as pypi

from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.result import (
    Err,
    Ok,
    Result,
    UnwrapError,
    collect,
    from_dict,
    gather,
    is_err,
    is_ok,
    partition,
    to_dict,
)


def test_match_calls_the_side_that_holds() -> None:
    assert Ok(2).match(ok=lambda n: n + 1, err=lambda _: -1) == 3
    assert Err("no").match(ok=lambda _: "", err=str.upper) == "NO"


def test_is_an_instance_of_pypi_result_and_matches_its_patterns() -> None:
    assert isinstance(Ok(1), pypi.Ok)
    assert isinstance(Err(1), pypi.Err)
    match Ok("x"):
        case pypi.Ok(value):
            assert value == "x"
        case _:
            pytest.fail("did not match")
    assert Ok(1) == pypi.Ok(1)


async def test_every_combinator_gives_our_classes() -> None:
    async def plus(n: int) -> int:
        return n + 1

    async def fine(n: int) -> Result[int, str]:
        return Ok(n)

    ours = [
        Ok(1).map(str), Ok(1).map_err(str), Ok(1).and_then(lambda n: Ok(n)), Ok(1).or_else(lambda e: Err(e)), Ok(1).inspect(print),
        Ok(1).inspect_err(print), await Ok(1).map_async(plus), await Ok(1).and_then_async(fine),
        Err(1).map(str), Err(1).map_err(str), Err(1).and_then(lambda n: Ok(n)), Err(1).or_else(lambda e: Ok(e)), Err(1).inspect(print),
        Err(1).inspect_err(print), await Err(1).map_async(plus), await Err(1).and_then_async(fine),
    ]  # fmt: skip
    for value in ours:
        assert type(value) in (Ok, Err), value
    assert Err(1).map_err(lambda n: n + 1) == Err(2)
    assert Err(1).or_else(lambda e: Ok(e + 1)) == Ok(2)


def test_no_instance_dict() -> None:
    assert not hasattr(Ok(1), "__dict__")
    assert not hasattr(Err(1), "__dict__")


def test_unwrap_of_an_err_chains_the_error_it_holds() -> None:
    error = LLMError("it broke")
    with pytest.raises(UnwrapError) as caught:
        Err(error).unwrap()
    assert caught.value.__cause__ is error
    with pytest.raises(UnwrapError, match="wanted a name"):
        Err(error).expect("wanted a name")


def test_partition_collect_and_narrowing() -> None:
    mixed: list[Result[int, str]] = [Ok(1), Err("a"), Ok(2), Err("b")]
    assert partition(mixed) == ([1, 2], ["a", "b"])
    assert collect(mixed) == Err("a")
    assert collect([Ok(1), Ok(2)]) == Ok([1, 2])
    assert is_ok(mixed[0])
    assert is_err(mixed[1])


async def test_gather_runs_all_and_gives_the_first_error_in_order() -> None:
    ended: list[int] = []

    async def one(n: int, good: bool) -> Result[int, str]:
        ended.append(n)
        return Ok(n) if good else Err(f"e{n}")

    assert await gather(one(1, True), one(2, True)) == Ok([1, 2])
    assert await gather(one(3, False), one(4, False)) == Err("e3")
    assert ended == [1, 2, 3, 4]


def test_dict_form_survives_json() -> None:
    for value in (Ok({"a": 1}), Err("no")):
        text = json.dumps(to_dict(value))
        assert from_dict(json.loads(text), ok=lambda v: v, err=str) == value
    assert to_dict(Err(LLMError("x")))["err"]["code"] == "LEX_ERR_LLM_001"
    with pytest.raises(ValueError, match="exactly one key"):
        from_dict({"ok": 1, "err": 2}, ok=int, err=int)


def test_as_a_pydantic_field() -> None:
    class Row(pydantic.BaseModel):
        outcome: Ok[int] | Err[str]

    row = Row(outcome=Ok(3))
    assert row.model_dump_json() == '{"outcome":{"ok":3}}'
    assert Row.model_validate_json('{"outcome":{"err":"x"}}').outcome == Err("x")
    with pytest.raises(pydantic.ValidationError):
        Row.model_validate({"outcome": {"ok": "word"}})


def test_copies_and_pickles() -> None:
    assert copy.deepcopy(Ok([1])) == Ok([1])
    assert pickle.loads(pickle.dumps(Err("x"))) == Err("x")
