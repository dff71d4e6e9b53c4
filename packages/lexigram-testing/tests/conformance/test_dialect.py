"""A good dialect and row pass the kit; each deliberately wrong one fails where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import acme_wire
import pytest
from broken import failing

from lexigram.contracts.ai.errors import InvalidRequestError, LLMRateLimitError, ProviderServerError
from lexigram.contracts.ai.messages import ToolCall
from lexigram.contracts.wire import HeaderAuth
from lexigram.testing.conformance.dialect import DialectConformance, EmbeddingConformance
from lexigram.testing.conformance.samples import SamplesError, load_samples, samples_of, write_stream
from lexigram.testing.conformance.vendor import VendorConformance

GOOD: Any = acme_wire


class TestAcme(DialectConformance):
    claims = DialectConformance.ALL
    dialect = GOOD
    samples = acme_wire.SAMPLES


class TestAcmeRow(VendorConformance):
    claims = VendorConformance.ALL
    vendor = replace(acme_wire.ROW, dialects={"answers": GOOD})


def changed(**functions: Callable[..., Any]) -> Any:
    return SimpleNamespace(**{**vars(GOOD), **functions})


seen: list[Any] = []


def remembers(name: Any, data: Any, state: Any) -> Any:
    seen.append(data)
    chunks = GOOD.decode_event(name, data, state)
    return () if chunks and len(seen) > 1 and seen[-2] == data and chunks[0].delta else chunks


def raises_on_text(body: Any, here: Any) -> Any:
    return GOOD.decode_response({"end": body["end"], **body} if isinstance(body, dict) else body, here)


def misses(body: Any, here: Any) -> Any:
    made = GOOD.decode_response(body, here)
    return replace(made, finish_reason="length") if made.finish_reason == "stop" else made


def streams_less(name: Any, data: Any, state: Any) -> Any:
    return () if isinstance(data, dict) and "call" in data else GOOD.decode_event(name, data, state)


def ends_early(name: Any, data: Any, state: Any) -> Any:
    state.finished = True
    return GOOD.decode_event(name, data, state)


def knows_all(name: Any, data: Any, state: Any) -> Any:
    if isinstance(data, dict) and "x_value" in data:
        raise GOOD.DecodeError("what is that?")
    return GOOD.decode_event(name, data, state)


def trusts_events(name: Any, data: Any, state: Any) -> Any:
    if isinstance(data, dict) and "piece" in data:
        return (GOOD.StreamChunk(data["piece"] + ""),)
    return GOOD.decode_event(name, data, state)


def trusts_refusals(response: Any, body: Any, here: Any) -> Any:
    if isinstance(body, dict) and "end" in body:
        raise KeyError("message")
    return GOOD.decode_error(response, body, here)


def forgets_hints(response: Any, body: Any, here: Any) -> Any:
    error = GOOD.decode_error(response, body, here)
    error.retry_after = None
    return error


def all_alike(response: Any, body: Any, here: Any) -> Any:
    if body and body != "<html><h1>Sorry</h1></html>":
        return GOOD.decode_error(response, body, here)
    return ProviderServerError("it failed", provider=here.provider, status=response.status)


def unseals(request: Any, here: Any, *, stream: bool) -> Any:
    made = GOOD.encode_request(request, here, stream=stream)
    turns = [
        {**t, "parts": [{k: v for k, v in p.items() if k != "seal"} for p in t["parts"]]} for t in made.json["turns"]
    ]
    return replace(made, json={**made.json, "turns": turns})


def loses_quietly(request: Any, here: Any, *, stream: bool) -> Any:
    return replace(GOOD.encode_request(request, here, stream=stream), losses=())


def chokes_on_its_own_words(request: Any, here: Any, *, stream: bool) -> Any:
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall) and part.arguments_error is not None:
                raise ValueError(part.arguments_error)
    return GOOD.encode_request(request, here, stream=stream)


MUTANTS: dict[str, tuple[Any, set[str]]] = {
    "has_the_names_of_the_contract": (changed(NAME="answers"), set()),
    "is_pure": (changed(decode_event=remembers), set()),
    "reads_the_samples": (changed(decode_response=misses), {"folds_to_the_answer"}),
    "folds_to_the_answer": (changed(decode_event=streams_less), set()),
    "ends_only_with_the_end": (changed(decode_event=ends_early), set()),
    "ignores_events_of_unknown_kinds": (changed(decode_event=knows_all), set()),
    "reads_any_answer": (changed(encode_request=chokes_on_its_own_words), set()),
    "reads_any_stream": (changed(decode_event=trusts_events), set()),
    "reads_any_refusal": (changed(decode_error=trusts_refusals), set()),
    "types_its_errors": (changed(decode_error=forgets_hints), set()),
    "types_errors_by_status": (changed(decode_error=all_alike), set()),
    "keeps_opaque_data": (changed(encode_request=unseals), set()),
    "lists_its_losses": (changed(encode_request=loses_quietly), set()),
}


@pytest.mark.parametrize("claim", sorted(DialectConformance.ALL))
def test_a_wrong_dialect_fails_where_it_is_wrong_and_nowhere_else(claim: str) -> None:
    mutant, also = MUTANTS[claim]
    seen.clear()
    found = failing(TestAcme, dialect=mutant)
    assert claim in found
    assert found <= {claim} | also


def test_decoding_that_trusts_the_body_is_found() -> None:
    assert failing(TestAcme, dialect=changed(decode_response=raises_on_text)) == {"reads_any_answer"}


# -- rows


def swallows(request: Any, here: Any, *, stream: bool) -> Any:
    return GOOD.encode_request(replace(request, seed=None), here, stream=stream)


def says_no_name(request: Any, here: Any, *, stream: bool) -> Any:
    try:
        return GOOD.encode_request(request, here, stream=stream)
    except InvalidRequestError as error:
        raise InvalidRequestError("that cannot be sent", provider=error.provider) from None


class InTheUrl(HeaderAuth):
    def apply(self, request: Any, secret: str) -> Any:
        return replace(super().apply(request, secret), url=f"{request.url}?key={secret}")


ROWS: list[tuple[str, Any]] = [
    ("is_whole", replace(TestAcmeRow.vendor, name="Acme")),
    ("is_whole", replace(TestAcmeRow.vendor, base_url="http://api.acme.example")),
    ("is_whole", replace(TestAcmeRow.vendor, key_env=("acme_key",))),
    ("keeps_the_key_in_a_header", replace(TestAcmeRow.vendor, auth=InTheUrl())),
    ("carries_or_refuses_every_option", replace(TestAcmeRow.vendor, dialects={"a": changed(encode_request=swallows)})),
    ("carries_or_refuses_every_option", replace(TestAcmeRow.vendor, dialects={"a": changed(encode_request=says_no_name)})),
]  # fmt: skip


def test_every_behaviour_of_rows_has_its_mutant() -> None:
    assert {claim for claim, _ in ROWS} == VendorConformance.ALL


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_wrong_row_fails_where_it_is_wrong_and_nowhere_else(number: int) -> None:
    claim, row = ROWS[number]
    assert failing(TestAcmeRow, vendor=row) == {claim}


# -- embeddings


class Vectors:
    NAME, MAX_BATCH = "acme.vectors", 8

    def encode_embeddings(self, texts: Any, model: Any, dimensions: Any, here: Any) -> Any:
        return GOOD.HttpRequest("POST", f"{here.base_url}/vectors", {}, {"texts": list(texts)})

    def decode_embeddings(self, body: Any, here: Any) -> Any:
        rows = GOOD.as_list(GOOD.as_dict(body).get("vectors"))
        if not all(isinstance(row, list) and all(type(x) is float for x in row) for row in rows):
            raise GOOD.bad_shape("the vectors are no numbers", here)
        return SimpleNamespace(vectors=tuple(tuple(row) for row in rows))

    decode_error = staticmethod(GOOD.decode_error)


VECTORS = samples_of(
    {
        "dialects": {
            "acme.vectors": {
                "exchanges": [
                    {"name": "two", "texts": ["a", "b"], "vectors": [[1.0], [2.0]], "answer": {"vectors": [[1.0], [2.0]]}}
                ],
                "refusals": [{"status": 429, "body": "slow down", "error": "LLMRateLimitError"}],
            }
        }
    }
)["acme.vectors"]  # fmt: skip


class TestAcmeVectors(EmbeddingConformance):
    claims = EmbeddingConformance.ALL
    dialect: Any = Vectors()
    samples = VECTORS


class Backwards(Vectors):
    def decode_embeddings(self, body: Any, here: Any) -> Any:
        return SimpleNamespace(vectors=super().decode_embeddings(body, here).vectors[::-1])


class Trusting(Vectors):
    def decode_embeddings(self, body: Any, here: Any) -> Any:
        return SimpleNamespace(vectors=tuple(tuple(row) for row in body["vectors"]))


class OneError(Vectors):
    def decode_error(self, response: Any, body: Any, here: Any) -> Any:  # type: ignore[override]
        return LLMRateLimitError("no", provider="elsewhere", status=response.status)


class NoBatch(Vectors):
    MAX_BATCH = 0


@pytest.mark.parametrize(
    ("claim", "mutant"),
    [
        ("has_the_names_of_the_contract", NoBatch()),
        ("gives_the_vectors_in_order", Backwards()),
        ("reads_any_answer", Trusting()),
        ("types_its_errors", OneError()),
    ],
)
def test_wrong_vectors_fail_where_they_are_wrong_and_nowhere_else(claim: str, mutant: Any) -> None:
    assert failing(TestAcmeVectors, dialect=mutant) == {claim}


# -- samples


def test_wrong_samples_are_an_error_that_gives_the_place() -> None:
    with pytest.raises(SamplesError, match=r"dialects\.a\.exchanges\[0\]: unknown field 'anser'; allowed: .*answer"):
        samples_of({"dialects": {"a": {"exchanges": [{"name": "x", "anser": 1}]}}})
    with pytest.raises(SamplesError, match=r"dialects\.b: 'a' is not a dialect of this file"):
        samples_of({"dialects": {"b": "a"}})
    with pytest.raises(SamplesError, match="missing"):
        samples_of({"dialects": {"a": {"refusals": [{"status": 400}]}}})


def test_a_package_without_samples_gives_none() -> None:
    assert load_samples("lexigram.contracts") == {}


def test_streams_are_written_as_their_framing_is() -> None:
    events: Any = [("ping", {"a": 1}), (None, "[DONE]")]
    assert write_stream(events, "sse") == [b'event: ping\ndata: {"a": 1}\n\n', b"data: [DONE]\n\n"]
    assert write_stream([("output", "a\nb")], "sse-text") == [b"event: output\ndata: a\ndata: b\n\n"]
    assert write_stream([(None, {"a": 1})], "ndjson") == [b'{"a": 1}\n']
    with pytest.raises(ValueError, match="json-array"):
        write_stream(events, "json-array")
