from __future__ import annotations

import base64
import logging
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest

from lexigram.contracts.ai.errors import LLMError
from lexigram.testing import Canary, SecretLeakError


class Plain:
    """Holds anything, and shows nothing."""

    def __init__(self, held: object) -> None:
        self.held = held


class Slotted:
    __slots__ = ("__held",)

    def __init__(self, held: object) -> None:
        self.__held = held


class Talking(Plain):
    def __str__(self) -> str:
        return f"I hold {self.held}"


class Formatting:
    def __init__(self, held: str) -> None:
        self.show = held.__str__

    def __format__(self, spec: str) -> str:
        return self.show()


class Pickling:
    def __init__(self, held: str) -> None:
        self.show = held.__str__

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (self.show(),)


@dataclass
class Hiding:
    held: str = field(repr=False)


def leaks(value: str) -> dict[str, object]:
    """Return objects that show the secret, each in its own way."""
    noted = ValueError("fine")
    noted.add_note(f"key was {value}")
    caused = ValueError("fine")
    caused.__cause__ = KeyError(value)
    handling = ValueError("fine")
    handling.__context__ = KeyError(value)
    record = logging.LogRecord("n", logging.INFO, "p", 1, "key %s", (value,), None)
    extra = logging.LogRecord("n", logging.INFO, "p", 1, "fine", None, None)
    extra.key = value
    raised = logging.LogRecord("n", logging.INFO, "p", 1, "fine", None, (ValueError, ValueError(value), None))
    return {
        "text": f"Bearer {value}",
        "bytes": value.encode(),
        "byte array": bytearray(value.encode()),
        "list": [1, (2, {value})],
        "key of a dict": {value: 1},
        "value of a dict": {"headers": {"authorization": value}},
        "attribute": Plain(value),
        "slot": Slotted(value),
        "attribute out of repr": Hiding(value),
        "str": Talking(value),
        "format": Formatting(value),
        "pickle": Pickling(value),
        "message of an error": ValueError(value),
        "note of an error": noted,
        "cause of an error": caused,
        "context of an error": handling,
        "detail of our error": LLMError("fine", details={"url": f"https://h/?key={value}"}),
        "log record": record,
        "extra of a log record": extra,
        "exception of a log record": raised,
        "base64": base64.b64encode(f"user:{value}".encode()),
        "base64, shifted": base64.b64encode(f"us:{value}".encode()).decode(),
        "hex": value.encode().hex(),
        "percent-encoded": quote(value, safe=""),
    }


@pytest.mark.parametrize("name", leaks("-"))
def test_a_leak_is_found_wherever_it_is(name: str) -> None:
    canary = Canary()
    with pytest.raises(SecretLeakError, match=r"^the secret is in objects\[1\]") as caught:
        canary.assert_absent("nothing here", leaks(canary.value)[name])
    assert canary.value not in str(caught.value)


@pytest.mark.parametrize("name", leaks("-"))
def test_another_secret_is_no_leak(name: str) -> None:
    Canary().assert_absent(leaks(Canary().value)[name])


def test_a_vault_may_hold_the_secret_but_its_keeper_may_not_show_it() -> None:
    canary = Canary()
    canary.assert_absent(canary.secret, Plain(canary.secret), {"key": canary.secret})
    with pytest.raises(SecretLeakError, match=r"objects\[0\]\.held"):
        canary.assert_absent(Plain(canary.secret.reveal()))


def test_the_place_is_named() -> None:
    canary = Canary()
    with pytest.raises(SecretLeakError, match=r"objects\[0\]\.held"):
        canary.assert_absent(Plain(bytearray(canary.value.encode())))


def test_things_that_hold_each_other_are_searched_once() -> None:
    ring: list[object] = []
    ring.append({"ring": ring})
    Canary().assert_absent(ring)


def test_every_canary_is_another_one_and_hides_itself() -> None:
    canary = Canary()
    assert canary.value != Canary().value
    assert canary.value not in repr(canary)
    assert canary.secret.reveal() == canary.value
