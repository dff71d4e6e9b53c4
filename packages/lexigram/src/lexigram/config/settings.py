"""Loads a section's settings from all their sources, field by field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from lexigram.config.environment import environment
from lexigram.config.errors import ConfigError, combine
from lexigram.config.keys import read_key_file

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")

__all__ = ["Fallback", "KeyFile", "Loaded", "VendorEnv", "load_settings"]


@dataclass(frozen=True, slots=True)
class VendorEnv:
    """Where neither an argument nor a ``LEX_`` variable sets ``field``, the first of ``names`` that is set does.

    Attributes:
        field: dotted name of the setting, e.g. ``"api_key"`` or ``"providers.groq.api_key"``.
        names: environment variables, the preferred one first.
    """

    field: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Where nothing before it sets ``field``, the key file of ``provider`` does.

    Attributes:
        field: dotted name of the setting.
        provider: name of the file.
        root: its directory, instead of ``~/.lexigram/keys``.
    """

    field: str
    provider: str
    root: Path | None = None


Fallback: TypeAlias = VendorEnv | KeyFile


@dataclass(frozen=True, slots=True)
class Loaded(Generic[M]):
    """Settings, and where each of them came from.

    Attributes:
        value: the validated model.
        sources: by dotted name of the setting: ``explicit``, ``env NAME``, ``file PATH``, the YAML
            file's name, or ``default``.
    """

    value: M = field(repr=False)
    sources: Mapping[str, str]

    def explain(self) -> str:
        """Return a table of every setting, its value and its source; secrets are masked."""
        from lexigram.config.problems import shown

        rows = [("setting", "value", "source")]
        rows += [(name, text, self.sources[name]) for name, text in shown(self.value)]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows)


def load_settings(
    model: type[M],
    *,
    section: str,
    explicit: Mapping[str, Any] | M | None = None,
    yaml: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    fallbacks: Sequence[Fallback] | Callable[[Mapping[str, Any]], Iterable[Fallback]] = (),
    other_sections: Collection[str] = (),
) -> Loaded[M]:
    """Load the settings of ``section``, merged field by field.

    What is explicit wins over ``LEX_{SECTION}__…`` variables, these over the fallbacks in their order, these over
    YAML, and YAML over the model's defaults. Nested settings are written with ``__``; empty variables count as unset.

    Args:
        model: a pydantic model.
        section: e.g. ``"ai_llm"``: the YAML section, and ``LEX_AI_LLM__`` in the environment.
        explicit: a mapping, or a model of which the fields that were set count.
        yaml: a YAML file that must exist, instead of ``LEX_CONFIG`` or ``lexigram.yaml`` / ``application.yaml``
            in the working directory.
        env: instead of the process environment; key files are then looked for under its ``HOME`` only.
        fallbacks: further sources, or a function that returns them from the values read so far (defaults included).
        other_sections: sections whose names are near to this one, so that their variables are not taken for misspelt.

    Raises:
        ConfigError: every problem of every source at once; never shows a secret.
    """
    from lexigram.config import sources
    from lexigram.config.merging import Merged
    from lexigram.config.problems import final_leaves, validated

    errors: list[ConfigError] = []
    process = env is None
    env = environment() if env is None else env
    file = Path(yaml).expanduser() if yaml is not None else sources.find_yaml(env, Path.cwd())
    given = sources.from_explicit(explicit, model, errors)
    variables = sources.from_env(env, section, model, other_sections, errors)
    document = sources.from_yaml(file, section, model, errors) if file is not None else None
    merged, strong = Merged(model), Merged(model)
    for source in (document, variables, given):
        if source is not None:
            merged.add(source)
            if source is not document:
                strong.add(source)
    root = None if process or "HOME" not in env else Path(env["HOME"]) / ".lexigram" / "keys"
    wanted = fallbacks(_with_defaults(model, merged.values)) if callable(fallbacks) else fallbacks
    for fallback in wanted:
        path = tuple(fallback.field.split("."))
        if path in strong.origins:
            continue
        try:
            found = _ask(fallback, env, root, process=process)
        except ConfigError as error:
            errors.append(error)
            continue
        if found is not None:
            for target in (merged, strong):
                target.set(path, *found)
    errors += merged.clean_secrets()
    value, invalid = validated(model, merged)
    errors += invalid
    if errors or value is None:
        raise combine(errors)
    return Loaded(value, {".".join(path): merged.origin(path) for path, _ in final_leaves(value)})


def _ask(fallback: Fallback, env: Mapping[str, str], root: Path | None, *, process: bool) -> tuple[Any, str] | None:
    if isinstance(fallback, VendorEnv):
        name = next((name for name in fallback.names if env.get(name)), None)
        return None if name is None else (env[name], f"env {name}")
    root = fallback.root or root
    if root is None and not process:
        return None
    key = read_key_file(fallback.provider, root)
    shown = f"file {root or '~/.lexigram/keys'}/{fallback.provider}"
    return None if key is None else (key, shown)


def _with_defaults(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    optional = ((name, field) for name, field in model.model_fields.items() if not field.is_required())
    defaults = {name: field.get_default(call_default_factory=True, validated_data={}) for name, field in optional}
    return {**defaults, **values}
