"""Print, per API, how the recorded chat exchanges come out: ``python tests/conformance/report.py``."""

from __future__ import annotations

import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import chat_corpus as corpus
import google_check
import google_corpus
import google_requests
from chat_check import check, decode_error
from chat_requests import shares


def main() -> int:
    if not corpus.available():
        print(corpus.NO_RECORDINGS)
        return 0
    reasons: collections.Counter[tuple[str, str]] = collections.Counter()
    total: collections.Counter[str] = collections.Counter()
    columns = ("2xx", "decoded", "equal", "plain", "in-band error", "excluded", "different", "4xx/5xx")
    print(f"{'api':<22}" + "".join(f"{c:>14}" for c in columns))
    for api in corpus.apis():
        row: collections.Counter[str] = collections.Counter()
        for record in corpus.records(api):
            if record["status"] is None or record["status"] >= 400:
                decode_error(record)
                row["4xx/5xx"] += 1
                continue
            outcome = check(record)
            row["2xx"] += 1
            kind = "in-band error" if outcome.kind == "error" else outcome.kind
            row[kind] += 1
            row["decoded"] += outcome.kind in ("equal", "plain", "error")
            if outcome.kind != "equal":
                detail = f"{api} {record['id']} {outcome.reason}" if outcome.kind == "different" else outcome.reason
                reasons[outcome.kind, detail] += 1
        total += row
        print(f"{api:<22}" + "".join(f"{row[c]:>14}" for c in columns))
    for api in (*google_corpus.GENERATE, *google_corpus.OTHERS):
        row = collections.Counter()
        for record in corpus.records(api):
            if record["status"] >= 400:
                google_check.decode_error(record)
                row["4xx/5xx"] += 1
                continue
            judge = google_check.check if api in google_corpus.GENERATE else google_check.check_other
            outcome = judge(record)
            row["2xx"] += 1
            row["in-band error" if outcome.kind == "error" else outcome.kind] += 1
            row["decoded"] += outcome.kind in ("equal", "plain", "error")
            if outcome.kind != "equal":
                detail = f"{api} {record['id']} {outcome.reason}" if outcome.kind == "different" else outcome.reason
                reasons[outcome.kind, detail] += 1
        total += row
        print(f"{api:<22}" + "".join(f"{row[c]:>14}" for c in columns))
    print(f"{'all':<22}" + "".join(f"{total[c]:>14}" for c in columns))
    for (kind, reason), count in sorted(reasons.items()):
        print(f"{count:>5}  {kind}: {reason}")
    asked, good, why = shares()
    print(f"requests: {good} of {asked} recorded ones are expressible in our words and encode to the same meaning")
    for reason, count in sorted(why.items(), key=lambda item: -item[1])[:20]:
        print(f"{count:>5}  not expressible: {reason}")
    asked, good, why = google_requests.shares()
    print(f"Google's requests: {good} of {asked} recorded ones are expressible and encode to the same meaning")
    for reason, count in sorted(why.items(), key=lambda item: -item[1]):
        print(f"{count:>5}  not expressible: {reason}")
    for api, reason in {**corpus.OUT_OF_SCOPE, **google_corpus.OUT_OF_SCOPE}.items():
        print(f"       out of scope: {api}: {reason}")
    return 1 if total["different"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
