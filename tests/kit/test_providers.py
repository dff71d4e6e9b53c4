"""The kit, over every provider package of this house: rows, dialects, embeddings, and the engine over each wire."""

from __future__ import annotations

import pytest

from lexigram.testing.conformance.provider import UnknownProviderError, suites

pytest_plugins = ["pytester"]

PROVIDERS = ["anthropic", "bedrock", "cohere", "google", "ollama", "openai", "replicate"]
for _provider in PROVIDERS:
    globals().update(suites(_provider))

MODULE = "lexigram.testing.conformance.provider"


def test_what_a_package_cannot_show_is_little() -> None:
    left_out = {
        name: kind.ALL - set(kind.claims)
        for provider in PROVIDERS
        for name, kind in suites(provider).items()
        if set(kind.claims) != kind.ALL and "Replicate" not in name  # predictions neither stream nor call tools
    }
    nothing_to_keep = {"keeps_opaque_data"}
    assert left_out == {"TestDialectCohereChat": nothing_to_keep, "TestDialectOllamaChat": nothing_to_keep}


def test_a_vendor_is_certified_by_its_own_name() -> None:
    assert set(suites("groq")) == {"TestVendorGroq", "TestDialectOpenaiChat", "TestClientOpenaiChat"}


def test_an_unknown_provider_is_an_error_that_lists_the_installed_ones() -> None:
    with pytest.raises(UnknownProviderError, match=r"'nobody'; installed: .*groq"):
        suites("nobody")


def test_the_command_certifies_an_installed_provider_without_any_file(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    seen = pytester.runpytest_subprocess("--pyargs", MODULE, "--lex-provider=ollama", "-v", "-rs")
    assert seen.ret == 0
    seen.stdout.fnmatch_lines(["conformance of ollama; engine: lexigram"])
    seen.stdout.fnmatch_lines(["*::TestClientOllamaChat::test_survives_cancellation PASSED*"])
    seen.stdout.fnmatch_lines(["*SKIPPED*TestDialectOllamaChat does not claim 'keeps_opaque_data'*"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "*which provider? add --lex-provider=NAME*"),
        (["--lex-provider=nobody"], "*no installed package brings the provider 'nobody'; installed: *"),
        (["--lex-provider=ollama", "--lex-samples=none.json"], "*there are no samples at none.json*"),
    ],
)
def test_the_command_says_what_is_missing(pytester: pytest.Pytester, options: list[str], said: str) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    seen = pytester.runpytest_subprocess("--pyargs", MODULE, *options)
    assert seen.ret != 0
    seen.stdout.fnmatch_lines([said])
