"""A server that speaks the vendors' wires, for tests, drills and work without a network."""

from lexigram.testing.simulator._app import Server, Simulator
from lexigram.testing.simulator._chance import Distribution, FaultKind, Faults, Fixed, Latency, LogNormal, Uniform
from lexigram.testing.simulator._journal import Journal, JournalEntry
from lexigram.testing.simulator._limits import RateLimits
from lexigram.testing.simulator._script import Line, Script, When
from lexigram.testing.simulator._values import Answer, Call, Counts, Failure, Question, Tool, ToolResult, Turn

__all__ = [
    "Answer",
    "Call",
    "Counts",
    "Distribution",
    "Failure",
    "FaultKind",
    "Faults",
    "Fixed",
    "Journal",
    "JournalEntry",
    "Latency",
    "Line",
    "LogNormal",
    "Question",
    "RateLimits",
    "Script",
    "Server",
    "Simulator",
    "Tool",
    "ToolResult",
    "Turn",
    "Uniform",
    "When",
]
