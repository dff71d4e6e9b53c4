"""Records the exchanges of a test with a real provider once, and plays them back ever after, without the network.

    with Cassette(Path("recordings/greeting.json"), "once") as cassette:
        module = LLMModule.configure(config, transport=cassette.transport())

In pytest the fixture ``llm_recording`` is a cassette named after the test; ``--lex-record`` says what it does. It is a
JSON file to be read and committed: secrets never reach it, see :mod:`lexigram.testing.recording._scrub`.
"""

from lexigram.testing.recording._cassette import MODES, Cassette, RecordingError, RecordMode

__all__ = ["MODES", "Cassette", "RecordMode", "RecordingError"]
