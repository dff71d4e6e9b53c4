from __future__ import annotations

import pytest

from lexigram.testing import every_split, one_byte_at_a_time, split_bytes

DATA = bytes(range(256)) * 3


@pytest.mark.parametrize("seed", range(20))
def test_random_pieces_join_to_the_whole_and_none_is_empty(seed: int) -> None:
    pieces = split_bytes(DATA, seed, longest=17)
    assert b"".join(pieces) == DATA
    assert {len(piece) for piece in pieces} <= set(range(1, 18))
    assert len(pieces) > 1


def test_a_seed_gives_the_same_cuts_and_another_one_others() -> None:
    assert split_bytes(DATA, 1) == split_bytes(DATA, 1)
    assert split_bytes(DATA, 1) != split_bytes(DATA, 2)


def test_nothing_has_no_pieces() -> None:
    assert split_bytes(b"", 1) == []
    assert one_byte_at_a_time(b"") == []


def test_pieces_cannot_be_shorter_than_a_byte() -> None:
    with pytest.raises(ValueError, match="longest is 0"):
        split_bytes(DATA, 1, longest=0)


def test_one_byte_at_a_time_is_that() -> None:
    assert one_byte_at_a_time(b"abc") == [b"a", b"b", b"c"]


def test_every_split_cuts_at_every_place() -> None:
    assert list(every_split(b"ab")) == [(b"", b"ab"), (b"a", b"b"), (b"ab", b"")]
