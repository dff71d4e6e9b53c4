"""What a dialect sends for every feature is what the vendor's description and its SDK's own check allow."""

import json
from typing import Any

import pytest
import spec_oracle
from wire_features import FEATURES, NO_STREAMS, PATHS, SDK_CHECKS, UNDESCRIBED
from wires import WIRES

from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.wire import Endpoint

CASES = [(wire, feature) for wire in FEATURES for feature in FEATURES[wire]]


def _body(wire: str, feature: str, stream: bool) -> dict[str, Any]:
    stream = stream and wire not in NO_STREAMS
    messages, options = FEATURES[wire][feature]
    named = {k: v for k, v in options.items() if k in ("temperature", "max_tokens", "tools", "stop_sequences")}
    rest = {k: v for k, v in options.items() if k not in named}
    request = build_request(messages, model="m", options=rest, **named)
    sent = WIRES[wire].dialect.encode_request(request, Endpoint(wire, "https://host.invalid"), stream=stream)
    body: dict[str, Any] = json.loads(json.dumps(sent.json))
    return body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("wire", "feature"), CASES)
def test_the_api_description_accepts_every_feature(wire: str, feature: str, stream: bool) -> None:
    name, path = PATHS[wire]
    if not spec_oracle.available(name):
        pytest.skip(f"no API description of {name}")
    known = tuple([f".{key}" for key in UNDESCRIBED.get(wire, ())])
    found = spec_oracle.objections(name, path, _body(wire, feature, stream))
    assert [o for o in found if not (o.startswith("undeclared") and o.endswith(known))] == []


@pytest.mark.parametrize(("wire", "feature"), [c for c in CASES if c[0] in SDK_CHECKS])
def test_the_sdks_own_check_accepts_every_feature(wire: str, feature: str) -> None:
    assert SDK_CHECKS[wire](_body(wire, feature, stream=True)) == []


@pytest.mark.parametrize("broken", [{"max_token": 5}, {"messages": [{"role": "robot", "content": "x"}], "input": 3}])
@pytest.mark.parametrize("wire", PATHS)
def test_the_description_rejects_what_is_wrong(wire: str, broken: dict[str, Any]) -> None:
    name, path = PATHS[wire]
    if not spec_oracle.available(name):
        pytest.skip(f"no API description of {name}")
    assert spec_oracle.objections(name, path, {**_body(wire, "bare", stream=False), **broken})
