"""Which providers there are: rows from installed packages, and those that the application registers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeAlias

from lexigram.contracts.ai.errors import LLMConfigurationError
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.wire import ENTRY_POINT_GROUP, Vendor

if TYPE_CHECKING:
    from lexigram.ai.llm.config import ClientConfig

__all__ = ["ClientFactory", "ProviderRegistry"]

ClientFactory: TypeAlias = "Callable[[ClientConfig], LLMClientProtocol]"
"""Makes a client of one's own from the settings."""

DISTRIBUTION = "lexigram-ai-llm"


class ProviderRegistry:
    """Vendors by name. Those of installed packages are found by entry point, once, when first asked for.

    Args:
        discover: whether to look for installed packages; without, only what is registered is there.
    """

    def __init__(self, *, discover: bool = True) -> None:
        self._discover = discover
        self._pending: list[metadata.EntryPoint] | None = None
        self._vendors: dict[str, Vendor] = {}
        self._factories: dict[str, ClientFactory] = {}
        self._aliases: dict[str, str] = {}
        self._frozen = False
        self._lock = threading.RLock()

    def register(
        self, vendor: Vendor | str, *, like: str | None = None, client: ClientFactory | None = None, **fields: Any
    ) -> None:
        """Add a provider, or replace one of the same name, before the application boots.

        Args:
            vendor: a whole row; or a name, with one of the following.
            like: a known provider whose row is copied, ``fields`` changed in it (``base_url=…``, ``key_env=…``).
            client: makes the client itself, for a provider that no dialect serves.

        Raises:
            LLMConfigurationError: after boot, or when it is not said how to reach the provider.
        """
        with self._lock:
            if self._frozen:
                raise LLMConfigurationError(
                    "providers are registered before the application boots",
                    hint="register in your module, or pass registry= to LLMModule.configure",
                )
            if isinstance(vendor, Vendor):
                self._add(vendor)
            elif client is not None:
                self._factories[vendor] = client
            elif like is not None:
                self._add(replace(self.get(like), name=vendor, aliases=(), **fields))
            else:
                raise LLMConfigurationError(
                    f"how shall {vendor!r} be reached?",
                    hint="give a Vendor, like='openai_compatible' with base_url=…, or client=…",
                )

    def get(self, name: str) -> Vendor:
        """Return the row.

        Raises:
            LLMConfigurationError: with the pip command if an extra would bring it, else with near names.
        """
        self._load(name)
        vendor = self._vendors.get(self._aliases.get(name, name))
        if vendor is not None:
            return vendor
        if name in _extras():
            raise LLMConfigurationError(
                f"provider {name!r} is not installed", provider=name, hint=f'pip install "{DISTRIBUTION}[{name}]"'
            )
        known = self.names()
        near = get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise LLMConfigurationError(
            f"there is no provider {name!r}{guess}", provider=name, hint=f"known: {', '.join(known) or 'none'}"
        )

    def factory(self, name: str) -> ClientFactory | None:
        """Return the client factory registered under the name, or None."""
        return self._factories.get(name)

    def names(self) -> list[str]:
        """Return the names of all providers, sorted; aliases are not among them."""
        self._load()
        return sorted({*self._vendors, *self._factories})

    def __iter__(self) -> Iterator[Vendor]:
        self._load()
        return iter([self._vendors[n] for n in sorted(self._vendors)])

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str) and name not in self._factories:
            self._load(name)
        return name in self._vendors or name in self._factories or name in self._aliases

    def freeze(self) -> None:
        """Refuse further registrations."""
        self._frozen = True

    def _add(self, vendor: Vendor) -> None:
        self._vendors[vendor.name] = vendor
        for alias in vendor.aliases:
            self._aliases[alias] = vendor.name

    def _load(self, wanted: str | None = None) -> None:
        """Load the rows of installed packages: all, or until one is the wanted provider's."""
        with self._lock:
            if self._pending is None:
                found = metadata.entry_points(group=ENTRY_POINT_GROUP) if self._discover else ()
                self._pending = sorted(found, key=lambda entry: entry.name != wanted)
            while self._pending and not (wanted in self._vendors or wanted in self._aliases):
                for vendor in self._pending.pop(0).load()():
                    if vendor.name not in self._vendors:
                        self._add(vendor)


@cache
def _extras() -> frozenset[str]:
    try:
        return frozenset(metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or ())
    except metadata.PackageNotFoundError:
        return frozenset()
