"""What a wire dialect promises: pure functions that read whatever comes, lose nothing in silence, and agree.

class TestAnswers(DialectConformance):
    claims = DialectConformance.ALL - {"keeps_opaque_data"}
    dialect = acme_llm.wire
    samples = load_samples("acme_llm")["acme.answers"]
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexigram.contracts.ai import errors
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import InvalidRequestError, LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.jsonform import message_from_dict, message_to_dict
from lexigram.contracts.ai.messages import ChatMessage, Opaque, OpaquePart, TextPart, ThinkingPart, ToolResultPart
from lexigram.contracts.wire import Dialect, EmbeddingDialect, Endpoint, HttpRequest, HttpResponse
from lexigram.contracts.wire.errors import request_id, retry_after_seconds
from lexigram.testing.conformance._hostile import (
    events_from,
    json_from,
    single_faults,
    single_faults_in_streams,
)
from lexigram.testing.conformance.samples import Event, Exchange, Samples
from lexigram.testing.conformance.suite import Conformance, behaviour, check

__all__ = ["DialectConformance", "EmbeddingConformance"]

MARK: Final = "b25seS1hbm90aGVyLXZlbmRvci1rbm93cw=="
DONE: Final = "[DONE]"
STATUSES: Final[Mapping[int, tuple[type[LLMError], ...]]] = {
    400: (errors.InvalidRequestError,),
    401: (errors.LLMAuthenticationError,),
    403: (errors.LLMPermissionError, errors.LLMAuthenticationError),
    404: (errors.InvalidRequestError,),
    429: (errors.LLMRateLimitError, errors.LLMQuotaExceededError),
    500: (errors.ProviderServerError,),
    503: (errors.ProviderServerError,),
}
"""What a status alone says, whatever the body."""


class _Wire(Conformance):
    """What dialects of answers and of vectors are certified with.

    Attributes:
        samples: what the wire says; see :mod:`lexigram.testing.conformance.samples`.
        endpoint: whose replies they are.
        examples: hostile replies a behaviour.
    """

    samples: ClassVar[Samples] = Samples()
    endpoint: ClassVar[Endpoint] = Endpoint("acme", "https://acme.example/v1")
    examples: ClassVar[int] = 100

    @property
    def here(self) -> Endpoint:
        """The endpoint, with the samples' settings."""
        return replace(self.endpoint, params={**self.samples.settings, **self.endpoint.params})

    def every(self, made: st.SearchStrategy[Any], test: Callable[[Any], None]) -> None:
        """Run a test on many values."""
        quiet = list(HealthCheck)
        bounds = settings(max_examples=self.examples, deadline=None, database=None, suppress_health_check=quiet)
        bounds(given(made)(test))()

    def exchanges(self, what: str, fits: Callable[[Exchange], object] = bool) -> list[Exchange]:
        """Return the samples that fit; without one a behaviour cannot be shown."""
        found = [e for e in self.samples.exchanges if fits(e)]
        check(found, f"the samples have no exchange {what}: give one, or leave the claim out")
        return found

    def check_error(self, error: object, status: int, wanted: Sequence[type[LLMError]]) -> LLMError:
        """Check an error that stands for a reply."""
        names = " or ".join(cls.__name__ for cls in wanted)
        check(isinstance(error, tuple(wanted)), f"HTTP {status} gave {error!r}; expected {names}")
        assert isinstance(error, LLMError)
        check(error.status == status, f"the error of HTTP {status} has status {error.status!r}")
        check(error.message, f"the error of HTTP {status} has no message")
        check(error.provider == self.here.provider, f"the error names the provider {error.provider!r}")
        return error

    def check_refusals(self, dialect: Dialect | EmbeddingDialect) -> None:
        """Check that every refusal of the samples is the error that it stands for."""
        check(self.samples.refusals, "the samples have no refusal: give one, or leave the claim out")
        for refusal in self.samples.refusals:
            response = HttpResponse(refusal.status, refusal.headers, json.dumps(refusal.body).encode())
            wanted: type[LLMError] = getattr(errors, refusal.error)
            error = self.check_error(dialect.decode_error(response, refusal.body, self.here), refusal.status, [wanted])
            check(type(error) is wanted, f"{refusal.body!r} gave {type(error).__name__}; expected {refusal.error}")
            after = retry_after_seconds(refusal.headers)
            check(after is None or error.retry_after == after, f"retry-after {after} was read as {error.retry_after}")
            ident = request_id(refusal.headers)
            check(ident is None or error.request_id == ident, f"request id {ident!r} was read as {error.request_id!r}")


class DialectConformance(_Wire):
    """The behaviours of a dialect.

    Attributes:
        dialect: the module.
    """

    dialect: ClassVar[Any]

    def fold(self, events: Sequence[Event]) -> tuple[Completion, Any]:
        """Decode a stream's events; return the folded answer and the stream's state."""
        state, fold = self.dialect.new_stream_state(self.here), CompletionFold(provider=self.here.provider)
        for name, data in events:
            if data == DONE and self.dialect.FRAMING == "sse":
                state.finished = state.closed = True  # the end's mark is the framing's, not the dialect's
                break
            for chunk in self.dialect.decode_event(name, copy.deepcopy(data), state):
                fold.add(chunk)
        return fold.completion(), state

    def encode(self, exchange: Exchange, *more: Any, stream: bool = False) -> HttpRequest:
        """Encode a sample's request, with further messages behind its own."""
        made: HttpRequest = self.dialect.encode_request(
            exchange.request(self.samples.model, *more), self.here, stream=stream
        )
        return made

    # -- the module

    @behaviour
    def test_has_the_names_of_the_contract(self) -> None:
        """It has every function of ``Dialect``, and a name of its own."""
        missing = [n for n in vars(Dialect) if not n.startswith("_") and not hasattr(self.dialect, n)]
        check(not missing, f"the dialect has no {', '.join(missing)}")
        check("." in self.dialect.NAME, f"NAME is {self.dialect.NAME!r}; expected e.g. 'acme.answers'")

    @behaviour
    def test_is_pure(self) -> None:
        """The same arguments give the same values, stay as they are, and no stream knows of another."""
        for exchange in self.exchanges("at all"):
            for stream in {False, bool(exchange.events)}:
                check(
                    self.encode(exchange, stream=stream) == self.encode(exchange, stream=stream),
                    f"{exchange.name}: the same request was encoded in two ways",
                )
            body = copy.deepcopy(exchange.answer)
            first = self.dialect.decode_response(body, self.here)
            check(body == exchange.answer, f"{exchange.name}: decoding changed the body")
            again = self.dialect.decode_response(copy.deepcopy(exchange.answer), self.here)
            check(first == again, f"{exchange.name}: the same body was decoded in two ways")
            alone, _ = self.fold(exchange.events)
            check(self._beside_another(exchange.events) == alone, f"{exchange.name}: two streams at once mix")

    def _beside_another(self, events: Sequence[Event]) -> Completion:
        """Decode a stream while another one, of the same events, is half an event ahead."""
        states = [self.dialect.new_stream_state(self.here) for _ in range(2)]
        fold = CompletionFold(provider=self.here.provider)
        for name, data in events:
            if data == DONE:
                break
            self.dialect.decode_event(name, copy.deepcopy(data), states[0])
            for chunk in self.dialect.decode_event(name, copy.deepcopy(data), states[1]):
                fold.add(chunk)
        return fold.completion()

    # -- what a server sends

    @behaviour
    def test_reads_the_samples(self) -> None:
        """A whole answer is read as what it means."""
        for exchange in self.exchanges("at all"):
            _check_meaning(self.dialect.decode_response(copy.deepcopy(exchange.answer), self.here), exchange, self.here)

    @behaviour
    def test_folds_to_the_answer(self) -> None:
        """A stream folds to the very completion that the whole answer is."""
        for exchange in self.exchanges("with events", lambda e: e.events):
            streamed, state = self.fold(exchange.events)
            _check_meaning(streamed, exchange, self.here)
            whole: Completion = self.dialect.decode_response(copy.deepcopy(exchange.answer), self.here)
            for name in ("parts", "finish_reason", "usage", "model", "provider"):
                one, other = getattr(streamed, name), getattr(whole, name)
                check(one == other, f"{exchange.name}: {name} is {one!r} as a stream and {other!r} as a whole")
            check(state.finished, f"{exchange.name}: the stream's end was not noticed")

    @behaviour
    def test_ends_only_with_the_end(self) -> None:
        """A stream that is cut before its reason to finish is not finished."""
        for exchange in self.exchanges("with events", lambda e: e.events):
            for cut in range(len(exchange.events)):
                made, state = self.fold(exchange.events[:cut])
                early = state.finished and made.finish_reason is None
                check(not early, f"{exchange.name}: after {cut} of {len(exchange.events)} events it is finished")

    @behaviour
    def test_ignores_events_of_unknown_kinds(self) -> None:
        """What a vendor adds to its streams later does no harm."""
        later: list[Event] = [("x_later", {"type": "x_later", "x_value": 1})]
        if self.dialect.FRAMING == "sse-text":
            later = [("x_later", "x")]
        for exchange in self.exchanges("with events", lambda e: e.events):
            head, tail = exchange.events[:1], exchange.events[1:]
            more, _ = self.fold([*head, *later, *tail])
            plain, _ = self.fold(exchange.events)
            check(more == plain, f"{exchange.name}: an event of an unknown kind changed the answer")

    @behaviour
    def test_reads_any_answer(self) -> None:
        """Whatever JSON comes under 2xx gives a completion or a typed error; and what was read can go back."""
        question = {"role": "user", "content": "Hi"}
        decode_count = getattr(self.dialect, "decode_count", None)

        def decode(body: Any) -> None:
            if decode_count is not None:
                with suppress(LLMError):
                    decode_count(body, self.here)
            try:
                made = self.dialect.decode_response(body, self.here)
            except LLMError:
                return
            check(isinstance(made.content, str), f"the content is {made.content!r}")
            exchange = Exchange(name="hostile", answer=None)
            try:
                self.encode(exchange, made.message, question)
            except InvalidRequestError:
                return

        for body in single_faults([e.answer for e in self.samples.exchanges]):
            decode(body)
        self.every(json_from(self.samples), decode)

    @behaviour
    def test_reads_any_stream(self) -> None:
        """Whatever events come give chunks or a typed error."""

        def decode(events: Sequence[Event]) -> None:
            try:
                made, _ = self.fold(events)
            except LLMError:
                return
            check(isinstance(made.content, str), f"the content is {made.content!r}")

        for events in single_faults_in_streams([e.events for e in self.samples.exchanges]):
            decode(events)
        self.every(events_from(self.samples), decode)

    @behaviour
    def test_reads_any_refusal(self) -> None:
        """Whatever comes with a status that is not 2xx gives a typed error with that status and a message."""

        def decode(reply: tuple[int, Any]) -> None:
            status, body = reply
            error = self.dialect.decode_error(HttpResponse(status, {}, b""), body, self.here)
            self.check_error(error, status, [LLMError])

        for refusal in self.samples.refusals:
            for body in single_faults([refusal.body]):
                decode((refusal.status, body))
        self.every(st.tuples(st.integers(300, 599), json_from(self.samples) | st.text(max_size=20)), decode)

    @behaviour
    def test_types_its_errors(self) -> None:
        """Every refusal of the samples is the very error that it stands for, with the hint and the id of its head."""
        self.check_refusals(self.dialect)

    @behaviour
    def test_types_errors_by_status(self) -> None:
        """A status alone is enough, for a proxy answers with bodies of its own."""
        for status, wanted in STATUSES.items():
            for body in ("<html><h1>Sorry</h1></html>", "", {"message": "sorry"}):
                error = self.dialect.decode_error(HttpResponse(status, {}, b""), body, self.here)
                self.check_error(error, status, wanted)

    # -- what goes back

    @behaviour
    def test_keeps_opaque_data(self) -> None:
        """What a vendor attached goes back byte for byte, also through JSON, or is listed as lost."""
        shown = 0
        for exchange in self.exchanges("at all"):
            for made in (
                self.dialect.decode_response(copy.deepcopy(exchange.answer), self.here),
                self._streamed(exchange),
            ):
                own = [text for part in made.parts for text in _long_texts(getattr(part, "opaque", None))]
                shown += len(own)
                stored = message_from_dict(json.loads(json.dumps(message_to_dict(made.message))))
                direct, again = (self.encode(exchange, m, *_results(made)) for m in (made.message, stored))
                check(direct == again, f"{exchange.name}: an answer stored as JSON encodes to another request")
                sent = list(_long_texts(direct.json))
                for text in own if not direct.losses else ():
                    check(text in sent, f"{exchange.name}: {text!r} was attached by the vendor and does not go back")
        check(shown, "the samples have no exchange with opaque data: give one, or leave the claim out")

    def _streamed(self, exchange: Exchange) -> Completion:
        if exchange.events:
            return self.fold(exchange.events)[0]
        made: Completion = self.dialect.decode_response(copy.deepcopy(exchange.answer), self.here)
        return made

    @behaviour
    def test_lists_its_losses(self) -> None:
        """What only another vendor understands stays behind, and is listed with its place."""
        foreign = Opaque("another-vendor", {"signature": MARK, "data": MARK})
        turn = ChatMessage(
            "assistant",
            (ThinkingPart("I think.", foreign), OpaquePart(foreign, "sealed"), TextPart("I say.", (), foreign)),
        )
        exchange = self.exchanges("at all")[0]
        made = self.encode(exchange, turn, {"role": "user", "content": "And now?"})
        place = f"messages[{len(exchange.messages)}]"
        check(MARK not in json.dumps(made.json), "what another vendor attached went out")
        check(any(place in loss.path for loss in made.losses), f"nothing of {place} is listed: {made.losses}")
        for loss in made.losses:
            check(loss.path and loss.reason, f"a loss does not say what and why: {loss}")
            check(MARK not in loss.reason, "a loss repeats what was lost")


class EmbeddingConformance(_Wire):
    """The behaviours of an embeddings dialect.

    Attributes:
        dialect: the module.
    """

    dialect: ClassVar[Any]

    @behaviour
    def test_has_the_names_of_the_contract(self) -> None:
        """It has every function of ``EmbeddingDialect``, and batches of at least one."""
        missing = [n for n in vars(EmbeddingDialect) if not n.startswith("_") and not hasattr(self.dialect, n)]
        check(not missing, f"the dialect has no {', '.join(missing)}")
        check(self.dialect.MAX_BATCH >= 1, f"MAX_BATCH is {self.dialect.MAX_BATCH}")

    @behaviour
    def test_gives_the_vectors_in_order(self) -> None:
        """One vector a text, in the order of the texts, of floats."""
        for exchange in self.exchanges("with vectors", lambda e: e.vectors):
            self.dialect.encode_embeddings(exchange.texts, self.samples.model, None, self.here)
            made = self.dialect.decode_embeddings(copy.deepcopy(exchange.answer), self.here)
            check(made.vectors == exchange.vectors, f"{exchange.name}: the vectors are {made.vectors}")
            check(all(type(x) is float for v in made.vectors for x in v), f"{exchange.name}: a number is no float")

    @behaviour
    def test_reads_any_answer(self) -> None:
        """Whatever JSON comes under 2xx gives vectors of floats or a typed error."""

        def decode(body: Any) -> None:
            try:
                made = self.dialect.decode_embeddings(body, self.here)
            except LLMError:
                return
            check(all(type(x) is float for v in made.vectors for x in v), f"a vector holds no float: {made.vectors}")

        for body in single_faults([e.answer for e in self.samples.exchanges]):
            decode(body)
        self.every(json_from(self.samples), decode)

    @behaviour
    def test_types_its_errors(self) -> None:
        """Every refusal of the samples is the very error that it stands for."""
        self.check_refusals(self.dialect)


def _check_meaning(made: Completion, exchange: Exchange, here: Endpoint) -> None:
    """Check what an answer means against what its sample says."""
    read = {
        "text": made.content,
        "thinking": made.thinking,
        "tools": tuple(call.name for call in made.tool_calls),
        "finish_reason": made.finish_reason,
    }
    for name, value in read.items():
        wanted = getattr(exchange, name)
        check(value == wanted, f"{exchange.name}: {name} is {value!r}; expected {wanted!r}")
    for name in ("input_tokens", "output_tokens"):
        wanted, counted = getattr(exchange, name), getattr(made.usage, name)
        check(wanted is None or counted == wanted, f"{exchange.name}: {name} is {counted}; expected {wanted}")
    check(made.provider == here.provider, f"{exchange.name}: the provider is {made.provider!r}")
    for call in made.tool_calls:
        check(call.id and call.arguments_error is None, f"{exchange.name}: the call is {call!r}")


def _results(made: Completion) -> list[ChatMessage]:
    """Return a result for every call, and a further question, so that the history is one that a vendor takes."""
    found = [ChatMessage("tool", (ToolResultPart(call.id, "done", call.name),)) for call in made.tool_calls]
    return [*found, ChatMessage("user", "And now?")]


def _long_texts(value: Any) -> Iterator[str]:
    if isinstance(value, Opaque):
        yield from _long_texts(value.data)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _long_texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _long_texts(inner)
    elif isinstance(value, str) and len(value) >= 12:
        yield value
