"""The options of ``pytest --pyargs lexigram.testing.conformance.provider``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest

__all__ = ["pytest_addoption", "pytest_pycollect_makemodule", "pytest_report_header"]

_MODULE: Final = Path(__file__).with_name("provider.py")


class _Provider(argparse.Action):
    """Takes the name. ``lexigram`` is a namespace package, which pytest has to be told."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        namespace.lex_provider = values
        namespace.override_ini = [*(namespace.override_ini or ()), "consider_namespace_packages=true"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("lexigram")
    group.addoption("--lex-provider", action=_Provider, metavar="NAME", help="the installed provider to certify")
    group.addoption("--lex-samples", type=Path, metavar="FILE", help="its samples, instead of those of its package")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say who is certified, and whether there is an engine to make clients with."""
    name: str | None = config.getoption("lex_provider")
    if name is None:
        return None
    from lexigram.testing.conformance.provider import ENGINE_GROUP

    engines = [entry.name for entry in metadata.entry_points(group=ENGINE_GROUP)]
    return f"conformance of {name}; engine: {engines[0] if engines else 'none is installed, clients are left out'}"


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.Module | None:
    """Collect the provider's module with the classes of the provider that was named."""
    if module_path != _MODULE:
        return None
    made: pytest.Module = _ProviderModule.from_parent(parent, path=module_path)
    return made


class _ProviderModule(pytest.Module):
    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        from lexigram.testing.conformance.provider import UnknownProviderError, suites
        from lexigram.testing.conformance.samples import SamplesError

        name: str | None = self.config.getoption("lex_provider")
        if name is None:
            raise self.CollectError("which provider? add --lex-provider=NAME")
        try:
            made = suites(name, self.config.getoption("lex_samples"))
        except (UnknownProviderError, SamplesError) as wrong:
            raise self.CollectError(str(wrong)) from None
        for cls_name, cls in made.items():
            setattr(self.obj, cls_name, cls)
        return super().collect()
