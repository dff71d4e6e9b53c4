"""The places that settings come from, each read into nested dictionaries that know their origin."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr, create_model

from lexigram.config import schema
from lexigram.config.errors import ConfigError, ConfigSourceError, InvalidSettingError, UnknownSettingError
from lexigram.contracts.values import Secret

__all__ = ["Source", "find_yaml", "from_env", "from_explicit", "from_yaml"]

_FRAMEWORK: Final = frozenset({"LEX_CONFIG", "LEX_PROFILE", "LEX_ENV", "LEX_DEBUG", "LEX_QUIET", "LEX_HOME"})
_FILES: Final = ("lexigram.yaml", "application.yaml")


class Source:
    """Values of one place. ``origins`` maps the path of a value, or of something above it, to where it was read."""

    def __init__(self, values: dict[str, Any], origins: Mapping[schema.Path, str]) -> None:
        self.values = values
        self.origins = origins

    def origin(self, path: schema.Path) -> str:
        """Return where the value at ``path`` was read."""
        return next(self.origins[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.origins)


def from_explicit(
    given: Mapping[str, Any] | BaseModel | None, model: type[BaseModel], errors: list[ConfigError]
) -> Source:
    """Read what the caller gave: a mapping, or the fields that were set on a model."""
    values = _plain(given) if given is not None else {}
    for path, _ in schema.leaves(values):
        wrong = schema.unknown(model, path)
        if wrong is not None:
            errors.append(_unknown(f"explicit setting {'.'.join(wrong.path)}", wrong, ".".join))
    return Source(values, {(): "explicit"})


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return SecretStr(value.reveal()) if isinstance(value, Secret) else value


def from_env(
    env: Mapping[str, str],
    section: str,
    model: type[BaseModel],
    others: Collection[str],
    errors: list[ConfigError],
) -> Source:
    """Read ``LEX_{SECTION}__…``; report names near to it that no setting has."""
    prefix = f"LEX_{section.upper()}__"
    origins: dict[schema.Path, str] = {}
    known: dict[str, str] = {}
    for name, value in sorted(env.items()):
        if not name.upper().startswith("LEX_") or name.upper() in _FRAMEWORK or value == "":
            continue
        if not name.upper().startswith(prefix):
            suggestion = _near_section(name.upper(), section.upper(), model, others)
            if suggestion is not None:
                errors.append(UnknownSettingError(f"{name}: no such setting; did you mean {suggestion}?"))
            continue
        path = tuple(name[len(prefix) :].lower().split("__"))
        wrong = schema.unknown(model, path)
        if wrong is None:
            known[name.upper()] = value
            origins[path] = f"env {name}"
        else:
            errors.append(_unknown(name, wrong, lambda p: prefix + "__".join(p).upper()))
    return Source(_explode(known, prefix, model, origins, errors), origins)


def _explode(
    env: Mapping[str, str],
    prefix: str,
    model: type[BaseModel],
    origins: Mapping[schema.Path, str],
    errors: list[ConfigError],
) -> dict[str, Any]:
    if not env:
        return {}
    # Imported when there is something to read, as is yaml below: together they cost half as much as the engine.
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

    class _Source(EnvSettingsSource):
        def _load_env_vars(self) -> Mapping[str, str | None]:
            return {name.lower(): value for name, value in env.items()}

    bases: Any = (model, BaseSettings)
    settings: Any = create_model(model.__name__, __base__=bases)
    source = _Source(settings, case_sensitive=False, env_prefix=prefix.lower(), env_nested_delimiter="__")
    values: dict[str, Any] = {}
    for name, field in settings.model_fields.items():
        mine = [origin for path, origin in origins.items() if path[0] == name]
        if not mine:
            continue
        try:
            raw, _, is_complex = source.get_field_value(field, name)
            value = source.prepare_field_value(name, field, raw, is_complex)
        except (ValueError, SettingsError):
            bad = " or ".join(origin.removeprefix("env ") for origin in mine)
            errors.append(InvalidSettingError(f"{name}: the value of environment variable {bad} is no valid JSON"))
            continue
        if value is not None:
            values[name] = value
    return values


def _near_section(name: str, section: str, model: type[BaseModel], others: Collection[str]) -> str | None:
    head, delimiter, rest = name.removeprefix("LEX_").partition("__")
    if head.lower() in others:
        return None
    squeezed, wanted = head.replace("_", ""), section.replace("_", "")
    if delimiter:
        if squeezed != wanted and difflib.SequenceMatcher(None, squeezed, wanted).ratio() < 0.8:
            return None
        field = rest.lower().split("__")[0]
        better = schema.near(field, list(model.model_fields)) or field
        return f"LEX_{section}__{better.upper()}{rest[len(field) :]}"
    if not squeezed.startswith(wanted) or squeezed == wanted:
        return None
    match = schema.near(squeezed.removeprefix(wanted), list(model.model_fields))
    return f"LEX_{section}__{match.upper()}" if match else None


def find_yaml(env: Mapping[str, str], cwd: Path) -> Path | None:
    """Return the file that ``LEX_CONFIG`` names, else ``lexigram.yaml`` or ``application.yaml`` in ``cwd``."""
    named = env.get("LEX_CONFIG")
    if named:
        return Path(named)
    return next((path for path in (cwd / name for name in _FILES) if path.is_file()), None)


def from_yaml(path: Path, section: str, model: type[BaseModel], errors: list[ConfigError]) -> Source:
    """Read the section of a YAML file. Nothing in it is interpolated."""
    import yaml

    document: Any = None
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        errors.append(ConfigSourceError(f"{path} cannot be read: {error.strerror}"))
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the file, which may hold a secret.
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        errors.append(ConfigSourceError(f"{path}{where}: no valid YAML"))
    except (yaml.YAMLError, UnicodeDecodeError):
        errors.append(ConfigSourceError(f"{path}: no valid YAML in UTF-8"))
    if document is None:
        return Source({}, {(): str(path)})
    if not isinstance(document, dict):
        errors.append(ConfigSourceError(f"{path}: the file is to hold sections, such as `{section}:`"))
        return Source({}, {(): str(path)})
    names = [str(name) for name in document]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    for name in names:
        if name != section and re.sub(r"[^a-z0-9]", "", name.lower()) == section.replace("_", ""):
            errors.append(UnknownSettingError(f"{path.name}: {name}: no such section; did you mean {section}?"))
    values: Any = document.get(section)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if values is None:
        return Source({}, {(): path.name})
    if not isinstance(values, dict):
        errors.append(ConfigSourceError(f"{path.name}: section {section} is to hold settings by name"))
        return Source({}, {(): path.name})
    plain: dict[str, Any] = _text_keys(values)
    for leaf, _ in schema.leaves(plain):
        wrong = schema.unknown(model, leaf)
        if wrong is not None:
            errors.append(
                _unknown(f"{path.name}: {section}.{'.'.join(wrong.path)}", wrong, lambda p: f"{section}.{'.'.join(p)}")
            )
    return Source(plain, {(): path.name})


def _text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _text_keys(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


def _unknown(what: str, wrong: schema.Unknown, spell: Any) -> UnknownSettingError:
    *above, name = wrong.path
    if not wrong.names:
        return UnknownSettingError(f"{what}: no such setting; {spell(above)} has no settings below it")
    match = schema.near(name, wrong.names)
    if match is not None:
        return UnknownSettingError(f"{what}: no such setting; did you mean {spell([*above, match])}?")
    return UnknownSettingError(f"{what}: no such setting; there are {', '.join(sorted(wrong.names))}")
