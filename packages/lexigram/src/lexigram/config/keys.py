"""Key files, and what a secret may look like."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lexigram.config.errors import ConfigSourceError, InvalidSettingError

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["clean_secret", "read_key_file"]

_PROVIDER: Final = re.compile(r"[a-z0-9._-]+")
_LIMIT: Final = 64 * 1024


def read_key_file(provider: str, root: Path | None = None) -> SecretStr | None:
    """Return the key in ``~/.lexigram/keys/{provider}``, or None if there is no such file.

    Args:
        provider: lower-case letters, digits, ``.``, ``_`` and ``-``.
        root: the directory of the key files, instead of ``~/.lexigram/keys``.

    Raises:
        ConfigSourceError: the file may be read by others, leads out of ``root``, or is no text file.
        InvalidSettingError: its content cannot be a key.
    """
    from pydantic import SecretStr

    if not _PROVIDER.fullmatch(provider) or provider.strip(".") == "":
        raise ConfigSourceError(f"no key file can be named {provider!r}: use lower-case letters, digits, '.', '_', '-'")
    root = Path.home() / ".lexigram" / "keys" if root is None else root
    path = root / provider
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root.resolve(strict=True)):
            raise ConfigSourceError(f"key file {path} leads out of its directory", hint="put the key itself there")
        data = _read(path, real)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "symbolic links in a circle"
        raise ConfigSourceError(f"key file {path} cannot be read: {reason}") from None
    key = clean_secret(data.decode("utf-8", "replace"), f"key file {path}")
    if not key:
        raise ConfigSourceError(f"key file {path} is empty", hint="write the key into it, or remove it")
    return SecretStr(key)


def _read(path: Path, real: Path) -> bytes:
    # O_NOFOLLOW: what was resolved is what is opened. O_NONBLOCK: a pipe in its place does not hang the boot.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(real, flags)
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LIMIT:
            raise ConfigSourceError(f"key file {path} is no file with a key in it")
        if os.name == "posix" and info.st_mode & 0o077:
            mode = stat.S_IMODE(info.st_mode)
            raise ConfigSourceError(
                f"key file {path} may be read or written by others (mode {mode:04o})", hint=f"chmod 600 {path}"
            )
        return os.read(descriptor, _LIMIT)
    finally:
        os.close(descriptor)


def clean_secret(value: str, source: str) -> str:
    """Return a secret without the white space around it.

    Raises:
        InvalidSettingError: it holds line breaks, control characters or non-ASCII characters; names ``source`` only.
    """
    value = value.strip()
    if any(not " " <= character <= "~" for character in value):
        raise InvalidSettingError(
            f"the secret from {source} holds a line break, a control character or a non-ASCII character",
            hint="copy it again, without quotes and line breaks",
        )
    return value
