"""Values made the short way are the values that their classes make."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, fields, replace
from typing import Any

import pytest

from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import StreamChunk
from lexigram.contracts.ai.messages import ChatMessage
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.values import sparse

MADE: list[tuple[Any, Any]] = [
    (
        sparse(StreamChunk, {"delta": "Hi", "model": "m", "id": "c-1", "block": 0}),
        StreamChunk("Hi", model="m", id="c-1", block=0),
    ),
    (
        build_request([{"role": "user", "content": "Hi"}], model="m", temperature=0.5, options={"seed": 7}),
        CompletionRequest(messages=(ChatMessage("user", "Hi"),), model="m", temperature=0.5, seed=7),
    ),
]
PAIRS = pytest.mark.parametrize(("short", "whole"), MADE, ids=["chunk", "request"])


@PAIRS
def test_a_sparse_value_equals_the_one_that_its_class_makes(short: Any, whole: Any) -> None:
    assert short == whole
    assert whole == short
    assert hash(short) == hash(whole)
    assert repr(short) == repr(whole)
    assert asdict(short) == asdict(whole)
    assert [getattr(short, f.name) for f in fields(short)] == [getattr(whole, f.name) for f in fields(whole)]


@PAIRS
def test_a_sparse_value_is_frozen(short: Any, whole: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        short.model = "other"
    with pytest.raises(FrozenInstanceError):
        del short.model
    with pytest.raises((FrozenInstanceError, AttributeError)):
        short.nothing = 1


@PAIRS
def test_a_sparse_value_is_copied_changed_and_pickled_like_any_other(short: Any, whole: Any) -> None:
    assert replace(short, model="n") == replace(whole, model="n") != short
    assert copy.copy(short) == copy.deepcopy(short) == whole
    assert pickle.loads(pickle.dumps(short)) == whole
    assert pickle.loads(pickle.dumps(whole)) == short
