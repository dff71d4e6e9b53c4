"""What can go wrong with settings.

The tree::

    ConfigError              LEX_ERR_CFG_001   several problems of different kinds
    ├── InvalidSettingError  002   a value that the setting does not take
    ├── ConfigSourceError    003   a file that cannot be read or must not be trusted
    └── UnknownSettingError  004   a name that no setting has

Messages name the setting and its source, and never the value of a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from lexigram.contracts.errors import LexigramError

__all__ = ["ConfigError", "ConfigSourceError", "InvalidSettingError", "UnknownSettingError", "combine"]


class ConfigError(LexigramError):
    """Settings cannot be used. See the module's docstring for the tree.

    Attributes:
        problems: every problem found, one line each.
    """

    code: ClassVar[str] = "LEX_ERR_CFG_001"

    def __init__(self, *problems: str, hint: str | None = None) -> None:
        message = problems[0] if len(problems) == 1 else _listing(problems)
        super().__init__(message, hint=hint, details={"problems": list(problems)})
        self.problems: tuple[str, ...] = problems


class InvalidSettingError(ConfigError):
    """A value that the setting does not take."""

    code = "LEX_ERR_CFG_002"


class ConfigSourceError(ConfigError):
    """A file that cannot be read, or must not be trusted."""

    code = "LEX_ERR_CFG_003"


class UnknownSettingError(ConfigError):
    """A name that no setting has."""

    code = "LEX_ERR_CFG_004"


def combine(errors: Sequence[ConfigError]) -> ConfigError:
    """Return one error that reports all of ``errors``; of their own kind, if they are of one."""
    if len(errors) == 1:
        return errors[0]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else ConfigError
    problems = [problem if e.hint is None else f"{problem} ({e.hint})" for e in errors for problem in e.problems]
    return kind(*problems)


def _listing(problems: Sequence[str]) -> str:
    return f"{len(problems)} problems with the settings:" + "".join(f"\n  - {problem}" for problem in problems)
