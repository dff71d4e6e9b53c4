"""Print, per API, how the recorded exchanges come out: ``python tests/conformance/report.py``."""

from __future__ import annotations

import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import chat_corpus as corpus
import wire_embeddings
from chat_check import check, decode_error
from chat_requests import shares
from wire_corpus import check as check_wire
from wire_corpus import decode_error as decode_wire_error
from wire_corpus import shares as wire_shares
from wires import WIRES


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
    print(f"{'all':<22}" + "".join(f"{total[c]:>14}" for c in columns))
    for (kind, reason), count in sorted(reasons.items()):
        print(f"{count:>5}  {kind}: {reason}")
    asked, good, why = shares()
    print(f"requests: {good} of {asked} recorded ones are expressible in our words and encode to the same meaning")
    for reason, count in sorted(why.items(), key=lambda item: -item[1])[:20]:
        print(f"{count:>5}  not expressible: {reason}")
    return wires() or (1 if total["different"] else 0)


def wires() -> int:
    """Print the same of the wires that have a package of their own."""
    columns = ("2xx", "decoded", "equal", "error", "excluded", "different", "4xx/5xx")
    print(f"{'wire':<22}" + "".join(f"{c:>14}" for c in columns))
    notes: list[str] = []
    reasons: collections.Counter[str] = collections.Counter()
    for wire in WIRES.values():
        row: collections.Counter[str] = collections.Counter()
        for record in wire.records():
            if record["status"] is None or record["status"] >= 400:
                decode_wire_error(wire, record)
                row["4xx/5xx"] += 1
                continue
            kind, why = check_wire(wire, record)
            row["2xx"] += 1
            row[kind] += 1
            row["decoded"] += kind in ("equal", "error")
            if kind != "equal":
                reasons[f"{wire.name} {kind}: {record['id'] if kind == 'different' else ''} {why}"] += 1
        print(f"{wire.name:<22}" + "".join(f"{row[c]:>14}" for c in columns))
        asked, good, excuses = wire_shares(wire)
        notes.append(f"{wire.name} requests: {good} of {asked} are expressible and encode to the same meaning")
        notes += [f"{count:>5}  not expressible: {why}" for why, count in excuses.items()]
    for api in wire_embeddings.WIRES:
        found = wire_embeddings.records(api)
        wrong = [w for r in found for w in wire_embeddings.check(api, r)]
        notes.append(f"{api}: {len(found)} exchanges, {len(wrong)} differences from the SDK's reading")
    print("\n".join([*[f"{count:>5}  {why}" for why, count in reasons.items()], *notes]))
    return int(any("different:" in why for why in reasons))


if __name__ == "__main__":
    raise SystemExit(main())
