"""Fakes and checks for the tests of services built on Lexigram. Nothing here needs pytest but ``plugin``."""

from lexigram.testing.canary import Canary, SecretLeakError
from lexigram.testing.fake import FakeLLM, Reply, ScriptExhaustedError
from lexigram.testing.network import NetworkForbiddenError, forbid_network
from lexigram.testing.split import every_split, one_byte_at_a_time, split_bytes

__all__ = [
    "Canary",
    "FakeLLM",
    "NetworkForbiddenError",
    "Reply",
    "ScriptExhaustedError",
    "SecretLeakError",
    "every_split",
    "forbid_network",
    "one_byte_at_a_time",
    "split_bytes",
]
