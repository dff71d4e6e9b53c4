"""What a place costs: as configured, else from the ``genai-prices`` package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from lexigram.ai.llm.routing.config import Price
from lexigram.ai.llm.routing.target import Place
from lexigram.contracts.ai.errors import LLMConfigurationError

__all__ = ["PriceOf", "price_lookup"]

PriceOf: TypeAlias = Callable[[Place], Price | None]

# Some prices rise with the size of a request: that of a small one is taken.
_TOKENS: Final = 1_000
_PER_MILLION: Final = 1_000_000 / _TOKENS


def price_lookup(known: Iterable[Place]) -> PriceOf:
    """Return the function that gives the price of a place, or None where nobody knows it.

    Args:
        known: the places that are configured.

    Raises:
        LLMConfigurationError: the price of none of them is known.
    """
    found: dict[tuple[str, str], Price | None] = {}

    def price_of(place: Place) -> Price | None:
        target = place.target
        if target.price is not None:
            return target.price
        key = (target.provider, place.model or target.model)
        if key not in found:
            found[key] = _published(*key)
        return found[key]

    if all(price_of(place) is None for place in known):
        raise LLMConfigurationError(
            "cost_optimized needs prices, and the price of no provider's model is known",
            hint='set providers.<name>.price, or pip install "lexigram-ai-llm[prices]"',
        )
    return price_of


def _published(provider: str, model: str) -> Price | None:
    """Return the list price that ``genai-prices`` has; it is bundled with the package, nothing is fetched."""
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    for provider_id in (provider, None):
        try:
            spent = [
                calc_price(usage, model_ref=model, provider_id=provider_id).total_price
                for usage in (Usage(input_tokens=_TOKENS), Usage(output_tokens=_TOKENS))
            ]
        except (LookupError, ValueError):
            continue
        return Price(input=float(spent[0]) * _PER_MILLION, output=float(spent[1]) * _PER_MILLION)
    return None
