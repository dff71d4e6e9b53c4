"""Claims: what is claimed runs, what is not is skipped by its name, what does not exist is an error."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

KIND = """
    import asyncio
    from lexigram.testing.conformance.suite import Conformance, behaviour, check

    class Kind(Conformance):
        @behaviour
        def test_stands(self):
            "It stands."
            check(self.make() > 0, "it fell")

        @behaviour
        async def test_waits(self):
            await asyncio.sleep(0)
            check(self.make() > 1, "it did not wait")

        @behaviour
        async def test_sleeps(self):
            await asyncio.sleep(self.make())
"""


def run(pytester: pytest.Pytester, code: str, *more: str) -> pytest.RunResult:
    pytester.makepyfile(kind=KIND, test_it="from kind import Kind\n" + code)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    return pytester.runpytest_inprocess("-rs", *more)


def test_every_claim_is_a_test_of_its_name_and_the_rest_is_skipped_by_name(pytester: pytest.Pytester) -> None:
    seen = run(
        pytester,
        """
class TestMine(Kind):
    claims = Kind.ALL - {"sleeps"}
    def make(self):
        return 1
    def test_of_my_own(self):
        pass
""",
        "-v",
    )
    seen.assert_outcomes(passed=2, failed=1, skipped=1)
    seen.stdout.fnmatch_lines(["*TestMine::test_stands PASSED*"])
    seen.stdout.fnmatch_lines(["*SKIPPED*TestMine does not claim 'sleeps'*"])
    seen.stdout.fnmatch_lines(["E*it did not wait"])


def test_an_unknown_claim_is_an_error_that_lists_the_allowed_ones(pytester: pytest.Pytester) -> None:
    seen = run(pytester, "class TestMine(Kind):\n    claims = {'stand'}\n")
    seen.assert_outcomes(errors=1)
    seen.stdout.fnmatch_lines(
        ["*UnknownClaimError: TestMine.claims: *'stand'; did you mean 'stands'?*sleeps, stands, waits"]
    )


def test_a_subclass_may_claim_more_than_its_base(pytester: pytest.Pytester) -> None:
    seen = run(
        pytester,
        """
class TestFew(Kind):
    claims = ()
    def make(self):
        return 2

class TestMore(TestFew):
    claims = {"waits"}
""",
    )
    seen.assert_outcomes(passed=1, skipped=5)


def test_what_hangs_fails(pytester: pytest.Pytester) -> None:
    seen = run(
        pytester,
        """
class TestMine(Kind):
    claims = {"sleeps"}
    patience = 0.05
    def make(self):
        return 60
""",
    )
    seen.assert_outcomes(failed=1, skipped=2)
    seen.stdout.fnmatch_lines(["E*it hangs: not done after 0.05 s"])
