"""The life cycle of a service: modules of providers that register, boot and shut down in order."""

from lexigram.app.application import Application
from lexigram.app.errors import ApplicationError, ApplicationStateError, ModuleConflictError
from lexigram.app.module import Module, Provider, ProviderBase

__all__ = [
    "Application",
    "ApplicationError",
    "ApplicationStateError",
    "Module",
    "ModuleConflictError",
    "Provider",
    "ProviderBase",
]
