"""The wires that are checked alike, one line each."""

import cohere_wire

WIRES = {w.name: w for w in (cohere_wire.WIRE,)}
