"""One call under a policy: its deadline, its tries, what it holds and what it gives back. No I/O but waiting."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lexigram.contracts.ai.completion import Attempt, Completion, Usage
from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMError,
    LLMRateLimitError,
    LLMTimeoutError,
    ProviderConnectionError,
)
from lexigram.contracts.ai.request import CompletionRequest, Timeouts
from lexigram.resilience._requests import changed, with_key
from lexigram.resilience.breaker import Outcome, outcome_of
from lexigram.resilience.deadline import Deadline
from lexigram.resilience.ledger import Ledger
from lexigram.resilience.limiter import Cost, FrozenError, ImpossibleError, Lease, Report
from lexigram.resilience.retry import decide, once_only

if TYPE_CHECKING:
    from lexigram.resilience.config import RetryConfig
    from lexigram.resilience.policy import Lane, ResiliencePolicy

__all__ = ["Call", "Permit", "report_of"]

_NOT_REACHED: Final = ("refused", "dns", "tls", "proxy")
_NOT_SENT: Final = ("limiter", "backoff", "pool", "connect")
_NOTHING: Final = Cost(0, 0)
_UNDONE: Final = Report(_NOTHING, request=False)
_KEPT: Final = Report()
_WHY: Final = {
    "attempts": "it was tried {tries} times",
    "hint": "the provider asks for a longer pause than is allowed",
    "deadline": "the deadline leaves no time for another try",
    "budget": "the retry budget of this provider is spent",
}


def report_of(error: LLMError, freeze: float) -> Report:
    """Return what a failed try means for the limits.

    A refused request generates nothing, so its tokens are free again; one that broke off may have been billed, so its
    estimate stays. A request that never reached the provider does not count at all.

    Args:
        error: how it ended.
        freeze: seconds to freeze for after a 429 without a hint.
    """
    if isinstance(error, LLMRateLimitError):
        hint = error.retry_after
        pause = hint if hint is not None and hint > 0 else freeze
        return Report(_NOTHING, rate_limits=error.rate_limits, freeze=pause or None)
    if error.status is not None:
        return Report(_NOTHING, rate_limits=error.rate_limits)
    unsent = (
        (isinstance(error, ProviderConnectionError) and error.reason in _NOT_REACHED)
        or (isinstance(error, LLMTimeoutError) and error.phase in _NOT_SENT)
        or isinstance(error, InvalidRequestError | LLMAuthenticationError | CircuitOpenError)
    )
    return _UNDONE if unsent else _KEPT


class Permit:
    """What one try holds: a lease of the limits, a place behind the bulkhead, the breaker's leave."""

    __slots__ = ("_era", "_lane", "_lease", "started")

    def __init__(self, lane: Lane, lease: Lease, era: int, started: float) -> None:
        self._lane = lane
        self._lease: Lease | None = lease
        self._era = era
        self.started = started

    @property
    def open(self) -> bool:
        """Whether anything is held."""
        return self._lease is not None

    def close(self, outcome: Outcome, report: Report, seconds: float = 0.0) -> asyncio.Future[None] | None:
        """Give all of it back; the second time nothing happens."""
        lease, self._lease = self._lease, None
        if lease is None:
            return None
        if self._lane.breaker is not None:
            self._lane.breaker.leave(self._era, outcome, seconds)
        if self._lane.bulkhead is not None:
            self._lane.bulkhead.leave()
        return lease.close(report)


class Call:
    """The state of one call.

    Args:
        policy: whose.
        lane: what it shares with other calls.
        request: the call.
        timeouts: its deadlines.
        told: whether the client inside knows the total already, so that the first try may go as it is.
        usual: the total of calls that name none. Who waits for less learns nothing of the provider when it is over.
        retry: the rules of its retries, instead of the policy's.
    """

    __slots__ = (
        "_cost",
        "_impatient",
        "_policy",
        "_retry",
        "_told",
        "_unreadable",
        "deadline",
        "lane",
        "last",
        "ledger",
        "pending",
        "request",
        "timeouts",
        "tries",
        "waited",
    )

    def __init__(
        self,
        policy: ResiliencePolicy,
        lane: Lane,
        request: CompletionRequest,
        timeouts: Timeouts,
        *,
        told: bool,
        usual: float | None = None,
        retry: RetryConfig | None = None,
    ) -> None:
        self._policy = policy
        self._retry = retry = retry or policy.config.retry
        self._told = told
        self._impatient = usual is not None and timeouts.total is not None and timeouts.total < usual
        self._unreadable = 0
        self._cost: Cost | None = None
        self.lane = lane
        self.timeouts = timeouts
        self.deadline = Deadline(timeouts.total, policy.clock)
        self.ledger = Ledger(lane.key.provider, lane.key.model)
        self.tries = 0
        self.waited = 0.0
        self.last: LLMError | None = None
        self.pending: asyncio.Future[None] | None = None
        if retry.idempotency_key and retry.max_attempts > 1:
            request = with_key(request)
        self.request = request
        policy.counters.calls += 1
        if lane.budget is not None:
            lane.budget.deposit()

    # -- before a try

    def try_admit(self) -> Permit | None:
        """Return a permit if there is one without waiting.

        Raises:
            LLMError: there is none, and waiting does not help.
        """
        lane = self.lane
        if lane.breaker is not None and (denied := lane.breaker.check()) is not None:
            raise self._refused(denied)
        if lane.bulkhead is not None and not lane.bulkhead.try_enter():
            return None
        lease: Lease | None = None
        try:
            lease = self._policy.limiter.try_acquire(lane.key, self.cost)
        except ImpossibleError as error:
            raise self._refused(_impossible(error)) from None
        finally:
            if lease is None and lane.bulkhead is not None:
                lane.bulkhead.leave()
        return self._let_in(lease) if lease is not None else None

    async def admit(self) -> Permit:
        """Return a permit, waiting for it within the deadline.

        Raises:
            LLMError: there is none.
        """
        lane, deadline, policy = self.lane, self.deadline, self._policy
        started = policy.clock()
        share = policy.share(self.request)
        policy.counters.limited += 1
        try:
            if lane.bulkhead is not None:
                await lane.bulkhead.enter(timeout=deadline.left(), share=share)
            try:
                lease = await policy.limiter.acquire(lane.key, self.cost, timeout=deadline.left(), share=share)
            except BaseException:
                if lane.bulkhead is not None:
                    lane.bulkhead.leave()
                raise
        except TimeoutError:
            raise self._refused(deadline.passed("limiter")) from None
        except FrozenError as error:
            frozen = LLMRateLimitError(
                "the provider asked all callers to pause for longer than this call may take", retry_after=error.seconds
            )
            raise self._refused(frozen) from None
        except ImpossibleError as error:
            raise self._refused(_impossible(error)) from None
        except LLMError as error:
            raise self._refused(error) from None
        self.waited += policy.clock() - started
        return self._let_in(lease)

    def _let_in(self, lease: Lease) -> Permit:
        lane, policy = self.lane, self._policy
        era: int | CircuitOpenError = lane.breaker.enter() if lane.breaker is not None else 0
        late = (self.tries or self.waited) and self.deadline.left() < policy.config.retry.min_attempt
        if late or not isinstance(era, int):
            permit = Permit(lane, lease, era if isinstance(era, int) else -1, 0.0)
            self.pending = permit.close("ignored", _UNDONE)
            raise self._refused(self.deadline.passed("limiter") if isinstance(era, int) else era)
        self.tries += 1
        policy.counters.attempts += 1
        return Permit(lane, lease, era, policy.clock())

    @property
    def cost(self) -> Cost:
        """What the call will take of the limits."""
        if self._cost is None:
            self._cost = self._policy.cost(self.lane, self.request)
        return self._cost

    def prepared(self) -> CompletionRequest:
        """Return the request of the next try, with what is left of the deadline."""
        if self._told and self.tries == 1 and not self.waited:
            return self.request
        return changed(self.request, "timeouts", self.deadline.shorten(self.timeouts))

    # -- after a try

    def succeeded(self, permit: Permit, completion: Completion) -> Completion:
        """Settle, and return the answer with its ledger."""
        seconds = self._policy.clock() - permit.started
        attempts = self.ledger.answered(completion, self.waited, seconds)
        self.waited = 0.0
        if self.lane.latencies is not None:
            self.lane.latencies.add(seconds)
        self.pending = permit.close("ok", self._spent(completion), seconds)
        return completion if attempts is completion.attempts else replace(completion, attempts=attempts)

    def heard(self, permit: Permit) -> None:
        """Take in that a stream has begun to answer."""
        if self.lane.first_chunks is not None:
            self.lane.first_chunks.add(self._policy.clock() - permit.started)

    def _spent(self, completion: Completion) -> Report:
        if completion.cached:
            return _UNDONE
        usage = completion.usage
        used_in, used_out = usage.input_tokens, usage.output_tokens
        limits = completion.rate_limits if self._policy.limiter.listens(self.lane.key) else ()
        if used_in is None and used_out is None:
            return Report(None, True, limits)
        used_in = used_in if used_in is not None else self.cost.input_tokens
        used_out = used_out if used_out is not None else self.cost.output_tokens
        return Report(Cost(used_in, used_out), True, limits)

    def settle_failed(self, permit: Permit, error: LLMError) -> None:
        """Write a failed try down, and give back what it held."""
        if not permit.open:
            return
        policy = self._policy
        seconds = policy.clock() - permit.started
        self.ledger.failed(error, self.waited, seconds)
        self.waited = 0.0
        outcome = outcome_of(error)
        if self._impatient and isinstance(error, LLMTimeoutError) and error.phase == "total":
            outcome = "ignored"
        self.pending = permit.close(outcome, report_of(error, policy.config.limiter.freeze), seconds)

    def failed(self, permit: Permit, error: LLMError, *, again: bool = True) -> float | None:
        """Settle, and return the seconds until the next try; None if there is none, or may be ``again`` none."""
        policy, lane = self._policy, self.lane
        self.settle_failed(permit, error)
        self.last = error
        if not again:
            return None
        verdict = decide(
            error,
            tries=self.tries,
            left=self.deadline.left(),
            config=self._retry,
            rng=policy.rng,
            unreadable=self._unreadable,
        )
        self._unreadable += once_only(error)
        if verdict.wait is None:
            self._give_up(verdict.why)
            return None
        denied = lane.breaker.check() if lane.breaker is not None else None
        if denied is not None and (denied.retry_after or 0.0) >= verdict.wait:
            return None
        if lane.budget is not None and not lane.budget.withdraw():
            policy.counters.budget_denied += 1
            self._give_up("budget")
            return None
        policy.counters.retries += 1
        return verdict.wait

    def _give_up(self, why: str | None) -> None:
        """Say on the error why it is the last."""
        error = self.last
        if error is not None and why is not None and why in _WHY and (self.tries > 1 or why != "attempts"):
            said = f"not tried again: {_WHY[why].format(tries=self.tries)}"
            error.hint = f"{error.hint}; {said}" if error.hint else said

    async def pause(self, seconds: float) -> None:
        """Wait for the next try."""
        clock = self._policy.clock
        started = clock()
        await asyncio.sleep(seconds)
        self.waited += clock() - started

    def interrupted(self, permit: Permit) -> None:
        """Settle a try that was broken off: what it used is unknown, so its estimate stays. Nobody waits for it."""
        if not permit.open:
            return
        seconds = self._policy.clock() - permit.started
        self.ledger.cancelled(self.waited, seconds)
        self.waited = 0.0
        permit.close("ignored", _KEPT, seconds)

    def attempts_if(self, permit: Permit, outcome: str, usage: Usage) -> tuple[Attempt, ...]:
        """Return the ledger as it would be if the running try ended now."""
        if not permit.open:
            return self.ledger.attempts
        key, seconds = self.lane.key, self._policy.clock() - permit.started
        return (*self.ledger.attempts, Attempt(key.provider, key.model, outcome, self.waited, None, seconds, usage))

    def final(self, error: LLMError) -> LLMError:
        """Return the error with the ledger in it."""
        error.attempts = self.ledger.attempts
        error.provider = error.provider or self.lane.key.provider or None
        error.model = error.model or self.lane.key.model or None
        return error

    def _refused(self, error: LLMError) -> LLMError:
        """The error of a call that may not go: after a failed try, that of the try, which says more."""
        if isinstance(error, CircuitOpenError):
            self._policy.counters.circuit_open += 1
        return self.final(self.last if self.last is not None else error)


def _impossible(error: ImpossibleError) -> LLMRateLimitError:
    return LLMRateLimitError(
        f"the call can never be within the limits: {error}",
        retryable=False,
        hint="shorten the messages, lower max_tokens, or raise the limit",
    )
