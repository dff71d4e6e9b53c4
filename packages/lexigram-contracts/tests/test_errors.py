"""The error tree: total, unique, portable."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from lexigram.contracts.ai import errors
from lexigram.contracts.ai.completion import Attempt, Completion
from lexigram.contracts.ai.errors import InvalidMessageError, LLMError
from lexigram.contracts.errors import LexigramError
from lexigram.contracts.values import Secret


def leaves(cls: type[LexigramError] = LexigramError) -> list[type[LexigramError]]:
    return [cls, *[leaf for sub in cls.__subclasses__() if sub.__module__ == errors.__name__ for leaf in leaves(sub)]]


def test_codes_are_unique_and_drawn_in_the_docstring() -> None:
    classes = leaves(LLMError)
    codes = [c.code for c in classes]
    assert len(set(codes)) == len(codes)
    drawn = errors.__doc__ or ""
    for cls in classes:
        number = cls.code.removeprefix("LEX_ERR_LLM_")
        assert re.search(rf"{cls.__name__}\s+(LEX_ERR_LLM_)?{number}\b", drawn), cls
        assert cls.__name__ in errors.__all__


@pytest.mark.parametrize("cls", leaves(LLMError), ids=lambda c: c.__name__)
def test_every_error_pickles_and_copies_with_all_it_knows(cls: type[LLMError]) -> None:
    error = cls(
        "it broke", provider="p", model="m", status=500, request_id="r", retry_after=1.5, hint="h",
        attempts=[Attempt("p", "m", "ok")], partial=Completion("so far"), details={"a": 1},
    )  # fmt: skip
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is cls
        assert twin.__dict__ == error.__dict__
        assert str(twin) == str(error)


def test_text_says_where_what_and_what_next() -> None:
    error = LLMError("it broke", provider="p", model="m", status=500, request_id="r-1", hint="try again")
    assert str(error) == "p/m (HTTP 500): it broke\n  hint: try again\n  request id: r-1"
    assert error.to_dict()["status"] == 500


def test_a_wrong_message_is_also_a_value_error() -> None:
    assert issubclass(InvalidMessageError, ValueError)
    assert pickle.loads(pickle.dumps(InvalidMessageError("bad", path="messages[0]"))).path == "messages[0]"


def test_a_secret_is_in_no_text_and_no_pickle() -> None:
    secret = Secret("sk-SENTINEL")
    for text in (str(secret), repr(secret), f"{secret}", f"{[secret]}"):
        assert "SENTINEL" not in text
    assert secret.reveal() == "sk-SENTINEL"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
