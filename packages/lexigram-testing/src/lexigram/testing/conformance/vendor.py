"""What a vendor's row promises.

class TestAcme(VendorConformance):
    claims = VendorConformance.ALL
    vendor = next(iter(acme_llm.vendors()))
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest
from lexigram.contracts.wire import Dialect, Endpoint, Vendor
from lexigram.contracts.wire.shapes import OPTIONS
from lexigram.testing.canary import Canary
from lexigram.testing.conformance.suite import Conformance, behaviour, check

__all__ = ["VendorConformance"]

USER: Final = [{"role": "user", "content": "Hi"}]
TOOLS: Final = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
VALUES: Final[Mapping[str, Any]] = {
    "tools": TOOLS, "stop_sequences": ["a"], "tool_choice": "required", "parallel_tool_calls": False,
    "response_format": "json_object", "logit_bias": {"1": 2}, "modalities": ["text"], "audio": {"voice": "v"},
    "metadata": {"a": "b"}, "service_tier": "flex", "verbosity": "low", "user": "u", "prediction": "p",
    "prompt_cache": "k", "logprobs": True, "store": True,
}  # fmt: skip
NAMED: Final = ("temperature", "max_tokens", "tools", "stop_sequences")
NEED_TOOLS: Final = ("tool_choice", "parallel_tool_calls")


class VendorConformance(Conformance):
    """The behaviours of a row.

    Attributes:
        vendor: the row.
        settings: the vendor's own settings that a request needs.
    """

    vendor: ClassVar[Vendor]
    settings: ClassVar[Mapping[str, str]] = {}

    def endpoints(self) -> Iterator[tuple[str, Dialect, Endpoint]]:
        """Give the row's APIs."""
        here = Endpoint(self.vendor.name, "https://acme.example/v1", self.vendor.quirks, self.settings)
        for api, dialect in self.vendor.dialects.items():
            yield api, dialect, here

    @behaviour
    def test_is_whole(self) -> None:
        """Names are in lower case, the address is https (or this machine), the reference is linked."""
        row = self.vendor
        check(row.name and row.name == row.name.lower(), f"name: {row.name!r} is not in lower case")
        check(row.dialects, "dialects: there is none")
        for name in row.key_env:
            check(name == name.upper() and name.replace("_", "").isalnum(), f"key_env: {name!r} is not in upper case")
        check(row.docs_url.startswith("https://"), f"docs_url: {row.docs_url!r} is not an https address")
        known = {*CompletionOptions.__annotations__, *NAMED}
        for option in {*row.quirks.refuses, *row.quirks.accepts}:
            check(option.partition(".")[0] in known, f"quirks: there is no option {option!r}")
        for url in (row.base_url, *row.base_url_where.values()):
            safe = url is None or url.startswith("http://127.0.0.1:" if row.local else "https://")
            check(safe, f"base_url: {url!r} is neither https nor, for a local server, http://127.0.0.1:…")
            check(url is None or not url.endswith("/"), f"base_url: {url!r} ends with a slash")

    @behaviour
    def test_keeps_the_key_in_a_header(self) -> None:
        """The key is in a header of every request, and neither in its URL nor in its body."""
        for api, dialect, here in self.endpoints():
            canary = Canary()
            request = build_request(USER, model="m-1")
            for made in (dialect.encode_request(request, here, stream=False), dialect.encode_health(here)):
                sent = self.vendor.auth.apply(made, canary.value)
                check(sent.url.startswith("https://acme.example/v1"), f"{api}: the request goes to {sent.url}")
                shown = any(canary.is_in(value) for value in sent.headers.values())
                check(shown or not self.vendor.key_required, f"{api}: the key is in no header")
                check(not canary.is_in(sent.url + json.dumps(sent.json)), f"{api}: the key is in URL or body")

    @behaviour
    def test_carries_or_refuses_every_option(self) -> None:
        """An option changes what is sent, or is refused by its name: none is lost in silence."""
        for api, dialect, here in self.endpoints():
            takes_tools = _carries(dialect, here, tools=TOOLS)
            for option in sorted(OPTIONS - {"thinking"}):
                base = {"tools": TOOLS} if option in NEED_TOOLS and takes_tools else {}
                bare = dialect.encode_request(_request(**base), here, stream=False)
                try:
                    sent = dialect.encode_request(
                        _request(**{**base, option: VALUES.get(option, 1)}), here, stream=False
                    )
                except InvalidRequestError as error:
                    check(option in error.message, f"{api}: {option!r} is refused without its name: {error.message}")
                    check(
                        error.provider == self.vendor.name, f"{api}: the refusal of {option!r} names {error.provider!r}"
                    )
                    continue
                changed = (sent.json, sent.headers, sent.url) != (bare.json, bare.headers, bare.url)
                check(changed, f"{api}: {option!r} is neither sent nor refused")


def _request(**given: Any) -> CompletionRequest:
    named = {name: value for name, value in given.items() if name in NAMED}
    options: Any = {name: value for name, value in given.items() if name not in NAMED}
    return build_request(USER, model="m-1", options=options, **named)


def _carries(dialect: Dialect, here: Endpoint, **given: Any) -> bool:
    try:
        dialect.encode_request(_request(**given), here, stream=False)
    except InvalidRequestError:
        return False
    return True
