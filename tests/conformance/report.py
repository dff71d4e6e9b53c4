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
import embeddings_check
import google_check
import google_corpus
import google_requests
import messages_check
import messages_corpus
import messages_requests
import responses_check
import responses_corpus
import responses_requests
import wire_corpus
import wire_embeddings
import wires

COLUMNS = ("2xx", "decoded", "equal", "plain", "in-band error", "excluded", "different", "4xx/5xx")


class _Google:
    """Google's APIs: answers are checked one way, counts and vectors another."""

    decode_error = staticmethod(google_check.decode_error)

    @staticmethod
    def apis() -> list[str]:
        return [*google_corpus.GENERATE, *google_corpus.OTHERS]

    @staticmethod
    def check(record: dict[str, Any]) -> Any:
        judge = google_check.check if record["api"] in google_corpus.GENERATE else google_check.check_other
        return judge(record)


WIRES: dict[str, tuple[Any, Any, Any]] = {
    "OpenAI Chat Completions": (chat_corpus, chat_check, chat_requests),
    "OpenAI Responses": (responses_corpus, responses_check, responses_requests),
    "OpenAI embeddings": (embeddings_check, embeddings_check, None),
    "Anthropic Messages": (messages_corpus, messages_check, messages_requests),
    "Google": (_Google, _Google, google_requests),
}
"""Of every wire: where its exchanges are, how one is checked, how its requests are encoded again."""


def main() -> int:
    if not chat_corpus.available():
        print(chat_corpus.NO_RECORDINGS)
        return 0
    return max([*[_wire(name, *modules) for name, modules in WIRES.items()], _small_wires()])


def _wire(name: str, corpus: Any, checks: Any, requests: Any) -> int:
    records = getattr(corpus, "records", chat_corpus.records)
    failed = getattr(corpus, "is_error", _failed)
    reasons: collections.Counter[tuple[str, str]] = collections.Counter()
    total: collections.Counter[str] = collections.Counter()
    print(f"{name:<26}" + "".join(f"{c:>14}" for c in COLUMNS))
    for api in corpus.apis():
        row: collections.Counter[str] = collections.Counter()
        for record in records(api):
            if failed(record):
                checks.decode_error(record)
                row["4xx/5xx"] += 1
                continue
            outcome = checks.check(record)
            row["2xx"] += 1
            row["in-band error" if outcome.kind == "error" else outcome.kind] += 1
            row["decoded"] += outcome.kind in ("equal", "plain", "error")
            if outcome.kind != "equal":
                detail = f"{api} {record['id']} {outcome.reason}" if outcome.kind == "different" else outcome.reason
                reasons[outcome.kind, detail] += 1
        total += row
        print(f"{api:<26}" + "".join(f"{row[c]:>14}" for c in COLUMNS))
    print(f"{'all':<26}" + "".join(f"{total[c]:>14}" for c in COLUMNS))
    for (kind, reason), count in sorted(reasons.items()):
        print(f"{count:>5}  {kind}: {reason}")
    if requests is not None:
        _requests(*requests.shares())
    for api, reason in getattr(corpus, "OUT_OF_SCOPE", {}).items():
        print(f"       out of scope: {api}: {reason}")
    print()
    return 1 if total["different"] else 0


def _requests(asked: int, good: int, why: dict[str, int]) -> None:
    print(f"requests: {good} of {asked} recorded ones are expressible in our words and encode to the same meaning")
    for reason, count in sorted(why.items(), key=lambda item: -item[1])[:20]:
        print(f"{count:>5}  not expressible: {reason}")


def _failed(record: dict[str, Any]) -> bool:
    return record["status"] is None or record["status"] >= 400


def _small_wires() -> int:
    """Print the same of the wires that have a package of their own."""
    columns = ("2xx", "decoded", "equal", "error", "excluded", "different", "4xx/5xx")
    print(f"{'wire':<22}" + "".join(f"{c:>14}" for c in columns))
    notes: list[str] = []
    reasons: collections.Counter[str] = collections.Counter()
    for wire in wires.WIRES.values():
        row: collections.Counter[str] = collections.Counter()
        for record in wire.records():
            if record["status"] is None or record["status"] >= 400:
                wire_corpus.decode_error(wire, record)
                row["4xx/5xx"] += 1
                continue
            kind, why = wire_corpus.check(wire, record)
            row["2xx"] += 1
            row[kind] += 1
            row["decoded"] += kind in ("equal", "error")
            if kind != "equal":
                reasons[f"{wire.name} {kind}: {record['id'] if kind == 'different' else ''} {why}"] += 1
        print(f"{wire.name:<22}" + "".join(f"{row[c]:>14}" for c in columns))
        asked, good, excuses = wire_corpus.shares(wire)
        notes.append(f"{wire.name} requests: {good} of {asked} are expressible and encode to the same meaning")
        notes += [f"{count:>5}  not expressible: {why}" for why, count in excuses.items()]
    for api in wire_embeddings.WIRES:
        found = wire_embeddings.records(api)
        wrong = [w for r in found for w in wire_embeddings.check(api, r)]
        notes.append(f"{api}: {len(found)} exchanges, {len(wrong)} differences from the SDK's reading")
    print("\n".join([*[f"{count:>5}  {why}" for why, count in reasons.items()], *notes]))
    return int(any("different:" in why for why in reasons))


if __name__ == "__main__":
    sys.exit(main())
