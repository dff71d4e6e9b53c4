"""Plain words, for everything that is made up."""

from __future__ import annotations

from random import Random
from typing import Final

__all__ = ["WORDS", "letters", "words"]

_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# Of up to seven letters, so that each is one token.
_TEXT: Final = """
a an and are as at be blue book but by came city clear cold could day door each early even far field find first for
from garden give good green had half hand has have her here hill his house how in into is it its know late light like
line long made many more morning most much near new night no not now of off old on once one only or other our out over
own paper part path people place quiet rain read river road round said same sea see short side small so some still
stone street such sun than that the their them then there these they thing this time to told town tree two under up
very wall was water way we well went were what when where which while white who wide wind window winter with word work
world would year yet
"""
WORDS: Final = tuple(_TEXT.split())


def words(random: Random, tokens: int) -> str:
    """Return plain sentences of exactly so many tokens."""
    out: list[str] = []
    start = True
    for left in range(tokens, 0, -1):
        if not start and (left == 1 or (left > 2 and random.random() < 0.1)):
            out.append(".")
            start = True
            continue
        word = random.choice(WORDS)
        out.append((" " if out else "") + (word.capitalize() if start else word))
        start = False
    return "".join(out)


def letters(random: Random, length: int) -> str:
    """Return so many letters and digits."""
    return "".join(random.choices(_LETTERS, k=length))
