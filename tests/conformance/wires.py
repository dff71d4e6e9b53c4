"""The wires that are checked alike, one line each."""

import bedrock_wire
import cohere_wire
import ollama_wire
import replicate_wire

WIRES = {w.name: w for w in (bedrock_wire.WIRE, cohere_wire.WIRE, ollama_wire.WIRE, replicate_wire.WIRE)}
