from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from lexigram.config import ConfigError, ConfigSourceError, InvalidSettingError, read_key_file

CANARY = "sk-canary-0123456789"


def write(path: Path, text: str = CANARY, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_read_without_the_white_space_around_it(tmp_path: Path) -> None:
    write(tmp_path / "openai", f"{CANARY} \r\n\n")
    key = read_key_file("openai", tmp_path)
    assert key is not None
    assert key.get_secret_value() == CANARY
    assert CANARY not in repr(key)


def test_no_file_is_no_key(tmp_path: Path) -> None:
    assert read_key_file("openai", tmp_path) is None
    assert read_key_file("openai", tmp_path / "absent") is None


@pytest.mark.parametrize("name", ["", ".", "..", "../openai", "a/b", "OpenAI", "a\0b", "é", "a\n"])
def test_a_provider_name_cannot_leave_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigSourceError):
        read_key_file(name, tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    write(tmp_path / "openai", mode=mode)
    with pytest.raises(ConfigSourceError, match=f"{mode:04o}") as caught:
        read_key_file("openai", tmp_path)
    assert "chmod 600" in (caught.value.hint or "")


def test_a_link_out_of_the_directory_is_refused_and_one_inside_is_followed(tmp_path: Path) -> None:
    root = tmp_path / "keys"
    root.mkdir()
    outside = write(tmp_path / "outside")
    (root / "openai").symlink_to(outside)
    with pytest.raises(ConfigSourceError, match="leads out"):
        read_key_file("openai", root)
    write(root / "real")
    (root / "alias").symlink_to(root / "real")
    key = read_key_file("alias", root)
    assert key is not None
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(ConfigSourceError, match="cannot be read"):
        read_key_file("loop", root)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory"):
        with pytest.raises(ConfigSourceError):
            read_key_file(name, tmp_path)


@pytest.mark.parametrize("text", [f"{CANARY}\nX: y", f"{CANARY}\0", f"{CANARY}é", " \n"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    write(tmp_path / "openai", text)
    with pytest.raises((InvalidSettingError, ConfigSourceError)) as caught:
        read_key_file("openai", tmp_path)
    error: ConfigError = caught.value
    assert CANARY not in "".join(traceback.format_exception(error)) + repr(error)
    assert str(tmp_path / "openai") in str(error)
