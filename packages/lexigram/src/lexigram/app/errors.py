"""What can go wrong with an application's life cycle.

The tree::

    ApplicationError           LEX_ERR_APP_001
    ├── ApplicationStateError  002   started twice, or started after it was stopped
    └── ModuleConflictError    003   two different modules of one name

What a provider raises comes out as it is.
"""

from __future__ import annotations

from typing import ClassVar

from lexigram.contracts.errors import LexigramError

__all__ = ["ApplicationError", "ApplicationStateError", "ModuleConflictError"]


class ApplicationError(LexigramError):
    """An application cannot be run as asked. See the module's docstring for the tree."""

    code: ClassVar[str] = "LEX_ERR_APP_001"


class ApplicationStateError(ApplicationError):
    """The application was started twice, or again after it was stopped."""

    code = "LEX_ERR_APP_002"
    default_hint = "an Application runs once: make a new one"


class ModuleConflictError(ApplicationError):
    """Two different modules have the same name."""

    code = "LEX_ERR_APP_003"
    default_hint = "pass the same Module object to everything that imports it, or give one another name"
