"""What a vendor is: one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lexigram.contracts.wire.dialect import Dialect, EmbeddingDialect, Quirks
from lexigram.contracts.wire.http import AuthScheme, HeaderAuth, Signer

__all__ = ["ENTRY_POINT_GROUP", "Vendor", "VendorTable"]

ENTRY_POINT_GROUP = "lexigram.llm_providers"
"""Where the engine looks for rows: each entry is a function that returns vendors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One vendor: which dialects it speaks, where, and with which key.

    A vendor that needs behaviour of its own gets a dialect; one that differs in a detail gets :class:`Quirks`.

    Attributes:
        name: what users write as ``provider``.
        dialects: the APIs it has, by the name that users write as ``api``; the first is the default.
        base_url: with ``{placeholders}`` that the user's settings fill (``extra``), or None when the user must
            give it.
        base_url_where: base URLs that hold instead where a setting has a certain value, by ``name=value``
            (``location=global``).
        key_env: environment variables in which its key is looked for, in order.
        key_required: whether a call without a key cannot succeed.
        auth: how the key goes on a request.
        signer: makes, from the user's ``extra``, what authenticates requests when there is no key; None for most.
        embeddings: its embeddings API, or None.
        quirks: how it differs from the dialect's reference.
        headers: further headers of every request.
        settings: names that it reads from the user's ``extra``, besides the placeholders of ``base_url``.
        default_model: the model when the user names none, or None.
        extra: the pip extra of ``lexigram-ai-llm`` that installs the row's package.
        docs_url: the vendor's API reference.
        aliases: other names for it.
        local: whether it runs on the user's own machine, where plain http is fine.
    """

    name: str
    dialects: Mapping[str, Dialect]
    base_url: str | None
    base_url_where: Mapping[str, str] = field(default_factory=dict[str, str])
    key_env: tuple[str, ...] = ()
    key_required: bool = True
    auth: AuthScheme = HeaderAuth()
    signer: Callable[[Mapping[str, str]], Signer] | None = None
    embeddings: EmbeddingDialect | None = None
    quirks: Quirks = Quirks()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: tuple[str, ...] = ()
    default_model: str | None = None
    extra: str = ""
    docs_url: str = ""
    aliases: tuple[str, ...] = ()
    local: bool = False


VendorTable: TypeAlias = Callable[[], Iterable[Vendor]]
"""What an entry point of :data:`ENTRY_POINT_GROUP` is."""
