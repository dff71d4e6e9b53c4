"""The wires that are checked alike, one line each."""

import cohere_wire
import ollama_wire

WIRES = {w.name: w for w in (cohere_wire.WIRE, ollama_wire.WIRE)}
