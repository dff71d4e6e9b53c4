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
import responses_check
import responses_corpus
import responses_requests

COLUMNS = ("2xx", "decoded", "equal", "plain", "in-band error", "excluded", "different", "4xx/5xx")


def table(apis: Any, records: Any, is_error: Any, check: Any, decode_error: Any) -> int:
    """Print one wire's rows and the reasons for what is not simply equal; return how many are different."""
    reasons: collections.Counter[tuple[str, str]] = collections.Counter()
    total: collections.Counter[str] = collections.Counter()
    print(f"{'api':<26}" + "".join(f"{c:>14}" for c in COLUMNS))
    for api in apis:
        row: collections.Counter[str] = collections.Counter()
        for record in records(api):
            if is_error(record):
                decode_error(record)
                row["4xx/5xx"] += 1
                continue
            outcome = check(record)
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
    return total["different"]


def requests(shares: tuple[int, int, dict[str, int]]) -> None:
    asked, good, why = shares
    print(f"requests: {good} of {asked} recorded ones are expressible in our words and encode to the same meaning")
    for reason, count in sorted(why.items(), key=lambda item: -item[1])[:20]:
        print(f"{count:>5}  not expressible: {reason}")
    print()


def _failed(record: dict[str, Any]) -> bool:
    return record["status"] is None or record["status"] >= 400


def main() -> int:
    if not chat_corpus.available():
        print(chat_corpus.NO_RECORDINGS)
        return 0
    wrong = table(chat_corpus.apis(), chat_corpus.records, _failed, chat_check.check, chat_check.decode_error)
    for api, reason in chat_corpus.OUT_OF_SCOPE.items():
        print(f"       out of scope: {api}: {reason}")
    requests(chat_requests.shares())
    own = responses_corpus
    wrong += table(own.apis(), own.records, own.is_error, responses_check.check, responses_check.decode_error)
    requests(responses_requests.shares())
    theirs = embeddings_check
    wrong += table(theirs.apis(), chat_corpus.records, _failed, theirs.check, theirs.decode_error)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
