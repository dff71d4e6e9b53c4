"""What the model answers: a script's words, or words of its own where there is no script."""

from __future__ import annotations

import inspect
import re
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from lexigram.testing.simulator._values import Answer, Failure, Question

__all__ = ["Line", "Script", "ScriptReader", "When"]

Spoken: TypeAlias = str | Answer | Failure
Line: TypeAlias = Spoken | Callable[[Question], "Spoken | Awaitable[Spoken]"]
"""One answer: its text, the whole of it, a failure, or a function of the question that returns one of these."""


@dataclass(frozen=True, slots=True)
class When:
    """What is answered when the last user message has this pattern in it.

    Attributes:
        pattern: a regular expression.
        then: the answer.
    """

    pattern: str | re.Pattern[str]
    then: Line

    def fits(self, question: Question) -> bool:
        """Whether the question's last user message has it."""
        return re.search(self.pattern, question.text) is not None


Script: TypeAlias = Line | Sequence[Line] | Sequence[When]
"""One answer to everything; answers in order; or rules, of which the first that fits answers and where none fits the
answer is made up."""


class ScriptReader:
    """Reads a script. Safe from several threads.

    Raises:
        ValueError: for rules and answers in one list.
    """

    def __init__(self, script: Script | None) -> None:
        self._always: Line | None = None
        self._lines: deque[Line] | None = None
        self._rules: tuple[When, ...] = ()
        self._asked = 0
        self._lock = threading.Lock()
        if script is None:
            return
        if isinstance(script, str | Answer | Failure) or callable(script):
            self._always = script
            return
        rules = [item for item in script if isinstance(item, When)]
        if rules and len(rules) != len(script):
            raise ValueError("a script is a list of rules (When) or of answers, not of both")
        if rules:
            self._rules = tuple(rules)
        else:
            self._lines = deque(cast("Sequence[Line]", script))

    @property
    def left(self) -> int | None:
        """How many answers are left; None where they do not run out."""
        return None if self._lines is None else len(self._lines)

    async def answer(self, question: Question) -> Answer | Failure:
        """Return what is answered; an empty answer is to be made up."""
        line = self._line(question)
        if callable(line):
            try:
                spoken = line(question)
                line = await spoken if inspect.isawaitable(spoken) else spoken
            except Exception as error:  # noqa: BLE001 - the client is told; a server's log is read by nobody
                return Failure("invalid_request", f"the simulator's script failed: {type(error).__name__}: {error}")
        if isinstance(line, str):
            return Answer(text=line)
        if not isinstance(cast("object", line), Answer | Failure):
            said = f"the simulator's script answered {line!r}; an answer is a text, an Answer or a Failure"
            return Failure("invalid_request", said)
        return line

    def _line(self, question: Question) -> Line:
        if self._always is not None:
            return self._always
        if self._lines is None:
            return next((rule.then for rule in self._rules if rule.fits(question)), Answer())
        with self._lock:
            self._asked += 1
            if self._lines:
                return self._lines.popleft()
        return Failure(
            "invalid_request",
            f"the simulator's script has run out: it has {self._asked - 1} answer(s), this is question {self._asked}",
        )
