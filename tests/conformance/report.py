"""Print, per API, how the recorded exchanges come out: ``python tests/conformance/report.py``."""

from __future__ import annotations

import collections
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import chat_check
import chat_corpus
import chat_requests
import messages_check
import messages_corpus
import messages_requests

WIRES: dict[str, tuple[Any, Any, Any]] = {
    "OpenAI Chat Completions": (chat_corpus, chat_check, chat_requests),
    "Anthropic Messages": (messages_corpus, messages_check, messages_requests),
}
"""Of every wire: where its exchanges are, how one is checked, how its requests are encoded again."""


def main() -> int:
    if not chat_corpus.available():
        print(chat_corpus.NO_RECORDINGS)
        return 0
    return max([_wire(name, *modules) for name, modules in WIRES.items()])


def _wire(name: str, corpus: Any, checks: Any, requests: Any) -> int:
    reasons: collections.Counter[tuple[str, str]] = collections.Counter()
    total: collections.Counter[str] = collections.Counter()
    columns = ("2xx", "decoded", "equal", "plain", "in-band error", "excluded", "different", "4xx/5xx")
    print(f"{name:<26}" + "".join(f"{c:>14}" for c in columns))
    for api in corpus.apis():
        row: collections.Counter[str] = collections.Counter()
        for record in corpus.records(api):
            if record["status"] is None or record["status"] >= 400:
                checks.decode_error(record)
                row["4xx/5xx"] += 1
                continue
            outcome = checks.check(record)
            row["2xx"] += 1
            kind = "in-band error" if outcome.kind == "error" else outcome.kind
            row[kind] += 1
            row["decoded"] += outcome.kind in ("equal", "plain", "error")
            if outcome.kind != "equal":
                detail = f"{api} {record['id']} {outcome.reason}" if outcome.kind == "different" else outcome.reason
                reasons[outcome.kind, detail] += 1
        total += row
        print(f"{api:<26}" + "".join(f"{row[c]:>14}" for c in columns))
    print(f"{'all':<26}" + "".join(f"{total[c]:>14}" for c in columns))
    for (kind, reason), count in sorted(reasons.items()):
        print(f"{count:>5}  {kind}: {reason}")
    asked, good, why = requests.shares()
    print(f"requests: {good} of {asked} recorded ones are expressible in our words and encode to the same meaning")
    for reason, count in sorted(why.items(), key=lambda item: -item[1])[:20]:
        print(f"{count:>5}  not expressible: {reason}")
    for api, reason in getattr(corpus, "OUT_OF_SCOPE", {}).items():
        print(f"       out of scope: {api}: {reason}")
    return 1 if total["different"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
