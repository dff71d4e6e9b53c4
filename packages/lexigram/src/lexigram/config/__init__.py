"""Settings from arguments, the environment, key files and YAML, and where each of them came from.

The one door to ``os.environ``. pydantic, pydantic-settings and PyYAML are imported when settings are loaded.
"""

from lexigram.config.environment import environment, read_env
from lexigram.config.errors import ConfigError, ConfigSourceError, InvalidSettingError, UnknownSettingError
from lexigram.config.keys import read_key_file
from lexigram.config.settings import KeyFile, Loaded, VendorEnv, load_settings

__all__ = [
    "ConfigError",
    "ConfigSourceError",
    "InvalidSettingError",
    "KeyFile",
    "Loaded",
    "UnknownSettingError",
    "VendorEnv",
    "environment",
    "load_settings",
    "read_env",
    "read_key_file",
]
