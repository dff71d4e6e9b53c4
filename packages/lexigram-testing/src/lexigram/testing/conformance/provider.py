"""Certifies an installed provider package, without a file of one's own.

    pytest --pyargs lexigram.testing.conformance.provider --lex-provider=acme

``acme`` is the name of an entry point of ``lexigram.llm_providers``, or of one of its vendors. Every row, every dialect
and, where an engine is installed, a client over each dialect become test classes. They claim what the package's
samples (:mod:`lexigram.testing.conformance.samples`) can show; the rest is skipped by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final

from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.messages import Opaque
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.wire import ENTRY_POINT_GROUP, Endpoint, Vendor
from lexigram.testing.conformance.dialect import DialectConformance, EmbeddingConformance
from lexigram.testing.conformance.http_client import NEED_STREAMS, HttpClientConformance
from lexigram.testing.conformance.samples import Samples, load_samples
from lexigram.testing.conformance.suite import Conformance
from lexigram.testing.conformance.vendor import VendorConformance

__all__ = ["ENGINE_GROUP", "UnknownProviderError", "suites"]

ENGINE_GROUP: Final = "lexigram.llm_engines"
"""Where an engine says how it makes a client of a row: ``make(vendor, *, base_url, key, model, api, params)``."""

_NEED_EVENTS: Final = frozenset({"ends_only_with_the_end", "folds_to_the_answer", "ignores_events_of_unknown_kinds"})
_NEED_EXCHANGES: Final = _NEED_EVENTS | {"is_pure", "keeps_opaque_data", "lists_its_losses", "reads_the_samples"}


class UnknownProviderError(LookupError):
    """No installed package brings the provider."""


def suites(provider: str, samples: Path | None = None) -> dict[str, type[Conformance]]:
    """Return the test classes of a provider, by name.

    Args:
        provider: the name of its entry point, or of one of its vendors.
        samples: a file of samples instead of the package's own.

    Raises:
        UnknownProviderError: naming the installed ones.
        SamplesError: for samples that are written wrongly.
    """
    module, rows = _found(provider)
    told = load_samples(samples or module)
    made: dict[str, type[Conformance]] = {}

    def add(name: str, kind: type[Conformance], claims: frozenset[str], about: Mapping[str, Any]) -> None:
        made.setdefault(name, type(name, (kind,), {**about, "claims": claims, "__module__": __name__}))

    for row in rows:
        ways: list[tuple[str | None, Any]] = [
            *row.dialects.items(),
            *([(None, row.embeddings)] if row.embeddings else []),
        ]
        extra: Mapping[str, str] = {}
        for api, dialect in ways:
            known = told.get(dialect.NAME, Samples())
            extra = known.settings or extra
            here = Endpoint(row.name, "https://acme.example/v1", row.quirks)
            about: dict[str, Any] = {"dialect": dialect, "samples": known, "endpoint": here}
            if api is None:
                add("TestEmbeddings" + _camel(dialect.NAME), EmbeddingConformance, _embedding_claims(known), about)
                continue
            add("TestDialect" + _camel(dialect.NAME), DialectConformance, _dialect_claims(dialect, known, here), about)
            if (engine := _engine()) is not None and known.exchanges:
                client = _client(engine, row, api, dialect, known)
                add("TestClient" + _camel(dialect.NAME), HttpClientConformance, _client_claims(known), client)
        add(
            "TestVendor" + _camel(row.name),
            VendorConformance,
            VendorConformance.ALL,
            {"vendor": row, "settings": extra},
        )
    return made


def _found(provider: str) -> tuple[str, list[Vendor]]:
    """Return the package of a provider and the rows to certify."""
    installed: list[str] = []
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        rows: list[Vendor] = list(entry.load()())
        package: str = import_module(entry.module).__package__ or entry.module
        if entry.name == provider:
            return package, rows
        own = [row for row in rows if provider in (row.name, *row.aliases)]
        if own:
            return package, own
        installed += [entry.name, *[row.name for row in rows]]
    raise UnknownProviderError(
        f"no installed package brings the provider {provider!r}; installed: {', '.join(sorted({*installed})) or 'none'}"
    )


def _engine() -> Any:
    for entry in metadata.entry_points(group=ENGINE_GROUP):
        return entry.load()
    return None


def _camel(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))


# -- what the samples can show


def _dialect_claims(dialect: Any, samples: Samples, here: Endpoint) -> frozenset[str]:
    claims = DialectConformance.ALL
    if not samples.exchanges:
        claims -= _NEED_EXCHANGES
    elif not any(e.events for e in samples.exchanges):
        claims -= _NEED_EVENTS
    if not samples.refusals:
        claims -= {"types_its_errors"}
    return claims if _has_opaque(dialect, samples, here) else claims - {"keeps_opaque_data"}


def _has_opaque(dialect: Any, samples: Samples, here: Endpoint) -> bool:
    for exchange in samples.exchanges:
        try:
            parts = dialect.decode_response(exchange.answer, here).parts
        except LLMError:
            continue
        opaque: list[Opaque] = [part.opaque for part in parts if part.opaque is not None]
        if any(len(text) >= 12 for one in opaque for text in _texts(one.data)):
            return True
    return False


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else []
    return [text for one in inner for text in _texts(one)]


def _embedding_claims(samples: Samples) -> frozenset[str]:
    missing = set() if samples.refusals else {"types_its_errors"}
    return EmbeddingConformance.ALL - missing - (set() if samples.exchanges else {"gives_the_vectors_in_order"})


def _client_claims(samples: Samples) -> frozenset[str]:
    claims = HttpClientConformance.ALL
    if not any(e.events for e in samples.exchanges):
        claims -= NEED_STREAMS
    if not any(e.tools for e in samples.exchanges):
        claims -= {"calls_tools"}
    return claims if samples.refusals else claims - {"types_refusals"}


def _client(engine: Any, row: Vendor, api: str, dialect: Any, samples: Samples) -> dict[str, Any]:
    def make_client(self: HttpClientConformance, base_url: str, key: str) -> LLMClientProtocol:
        made: LLMClientProtocol = engine(
            row, base_url=base_url, key=key, model=samples.model, api=api, params=samples.settings
        )
        return made

    plain = next((e for e in samples.exchanges if e.text and not e.tools and e.thinking is None), samples.exchanges[0])
    tools = next((e.tools[0] for e in samples.exchanges if e.tools), "")
    return {
        "samples": samples,
        "framing": dialect.FRAMING,
        "make_client": make_client,
        "text": plain.text,
        "tool": tools,
        "streams": any(e.events for e in samples.exchanges),
    }
