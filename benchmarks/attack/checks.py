"""What must be true of a store after an attack, whatever happened in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from benchmarks.attack.child import subject_of
from benchmarks.attack.trial import FEATURES, Trial
from certified import DeletionStore, verify
from certified.certificates.certificate import Certificate
from certified.ledger.chain import first_bad_index
from certified.ledger.records import Record
from certified.service.reports import Receipt
from tests.oracle import Problem, minimise


@dataclass(frozen=True)
class Check:
    """One question about the end, and how often the answer was wrong."""

    name: str
    wrong: int
    detail: str


def check_requests(log: Sequence[Record], receipts: Sequence[Receipt]) -> list[Check]:
    """Every acknowledged request is in the log as its receipt says, and exactly one release carried it out."""
    recorded = [record for record in log if record.kind == "request"]
    known = {
        (r.content["request"], r.content["rows"], r.content["names"], r.content["due"], r.number + 1) for r in recorded
    }
    done = Counter(number for record in log if record.kind == "release" for number in record.content["requests"])
    lost = [
        r
        for r in receipts
        if (r.request, r.rows, r.commitment, r.due, r.head.size) not in known or done[r.request] == 0
    ]
    undone = [record for record in recorded if done[record.content["request"]] == 0]
    twice = [number for number, count in done.items() if count > 1]
    given_twice = len(receipts) - len({receipt.request for receipt in receipts})
    listed_twice = len(recorded) - len({record.content["request"] for record in recorded})
    unasked = done.keys() - {record.content["request"] for record in recorded}
    silent = len(recorded) - len(receipts)
    return [
        Check("requests lost", len(lost), f"{len(receipts)} acknowledged"),
        Check("requests never done", len(undone), f"{len(recorded)} in the log, {silent} of them never acknowledged"),
        Check(
            "requests carried out twice",
            len(twice) + given_twice + listed_twice + len(unasked),
            f"{done.total()} carried out by {sum(r.kind == 'release' for r in log)} releases",
        ),
    ]


def check_rows(trial: Trial, log: Sequence[Record], kept: Sequence[int]) -> Check:
    """Rows of acknowledged requests are gone, rows nobody asked for are there, and every row left once."""
    rows, remaining = len(trial.names), {trial.names[row] for row in kept}
    still = {name for name, _ in trial.receipts} & remaining
    missing = set(trial.names) - trial.asked - remaining
    counted = sum(record.content["removed"] for record in log if record.kind == "release")
    wrong = len(still) + len(missing) + abs(rows - len(kept) - counted)
    detail = f"{rows} rows, {counted} deleted, {len(kept)} remain"
    return Check("rows deleted twice, too few or too many", wrong, detail)


def check_chain(store: DeletionStore, trial: Trial) -> list[Check]:
    """The log continues every head that was kept: those exported on the way, and one in each receipt."""
    entries = list(store._database.entries())
    links = [digest.hex() for _, _, digest in entries]
    heads = [*trial.heads, *(receipt.head for _, receipt in trial.receipts)]
    other = [h for h in heads if h.size > len(links) or links[h.size - 1] != h.digest or h.store != heads[0].store]
    sample = [heads[0], *trial.rng.sample(heads, min(5, len(heads))), heads[-1]]
    failed = [report for head in sample if not (report := store.verify(head)).ok]
    return [
        Check("chain broken", int(first_bad_index(entries) is not None), f"{len(entries)} records"),
        Check("heads not continued", len(other), f"{len(heads)} heads kept outside"),
        Check("store.verify failed", len(failed), f"{len(sample)} times, against kept heads"),
    ]


def check_budget(certificates: Sequence[Certificate]) -> Check:
    """Releases count 1, 2, 3, …; μ² ≥ Σ(s_j/σ)² exactly and not by much; δ(ε; μ) ≤ δ (claim T3)."""
    wrong, total, previous, removed = 0, Fraction(0), 0.0, 0
    for number, c in enumerate(certificates, start=1):
        total += (Fraction(c.distance_bound) / Fraction(c.noise_std)) ** 2
        removed += c.removed_count
        loss = norm.cdf(c.mu / 2 - c.epsilon / c.mu) - np.exp(c.epsilon) * norm.cdf(-c.mu / 2 - c.epsilon / c.mu)
        composed = total <= Fraction(c.mu) ** 2 <= total * Fraction(1_000_001, 1_000_000) and c.mu_before == previous
        wrong += not (composed and c.releases == number and c.removed_total == removed and loss <= c.delta)
        previous = c.mu
    detail = f"{len(certificates)} certificates, μ = {previous:.3g} in the end"
    return Check("budgets that do not compose", wrong, detail)


def check_shown(trial: Trial, releases: int) -> Check:
    """A release number always showed the same weights, and no two numbers showed the same."""
    digests = [digest for found in trial.shown.values() for digest in found]
    wrong = sum(len(found) > 1 for found in trial.shown.values()) + len(digests) - len(set(digests))
    wrong += sum(not 1 <= release <= releases for release in trial.shown)
    return Check("releases shown with other weights", wrong, f"{len(trial.shown)} of {releases} releases were shown")


def check_traces(trial: Trial, kept: Sequence[int]) -> Check:
    """No number, id, subject or target of a deleted row, and no earlier secret, is in any file at any offset."""
    content = b"\0\0\0".join(file.read_bytes() for file in sorted(trial.path.parent.iterdir()))
    gone = np.setdiff1d(np.arange(len(trial.names)), kept)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(content, dtype=np.uint8), 8)
    words = np.unique(np.ascontiguousarray(windows).view("<u8"))
    texts = set(re.findall(rb"(?:person|subject)-\d{6}", content))
    # A target is told by its decimals; a byte behind them may happen to be a digit.
    longer = set(re.findall(rb"\.\d{9,}", content))
    texts |= {decimals[:end] for decimals in longer for end in range(10, len(decimals) + 1)}

    def found(rows: Sequence[int] | npt.NDArray[np.int64]) -> int:
        names = [trial.names[row] for row in rows]
        decimals = [re.findall(r"\.\d+", json.dumps(float(trial.y[row])))[0] for row in rows]
        numbers = np.ascontiguousarray(trial.X[rows]).view("<u8")
        sought = [*names, *map(subject_of, names), *decimals]
        return int(np.isin(numbers, words).sum()) + sum(text.encode() in texts for text in sought)

    each = FEATURES + 3
    # The search is worth something only if it finds all that is to be there.
    wrong = found(gone) + (each * len(kept) - found(kept))
    wrong += sum(s in content for release in sorted(trial.secrets)[:-1] for s in trial.secrets[release])
    return Check("traces of deleted rows", wrong, f"{each * len(gone)} sought in {len(content):,} bytes")


def check_weights(store: DeletionStore, trial: Trial, kept: Sequence[int]) -> list[Check]:
    """The noise-free weights are within the certified bound of exact retraining, and the certificate is confirmed."""
    certificate, bundle, X, y = store.certificate(), store.audit_bundle(), trial.X[kept], trial.y[kept]
    ones, intercept = np.ones(len(kept)), certificate.fit_intercept
    problem = Problem("squared", X, y[:, None], ones, certificate.alpha, intercept)
    distance = minimise(problem, bundle.weights).distance(bundle.weights)
    report = verify(certificate, X, y, bundle.weights, released=bundle.released, nonce=bundle.nonce)
    holds = bool(distance <= certificate.distance_bound)
    measured = f"{float(distance.mid()):.2e} from exact retraining, certified {certificate.distance_bound:.2e}"
    return [
        Check("distance above its bound", int(not holds), measured),
        Check("certificate not confirmed", int(not report.ok), f"certified.verify, {len(report.checks)} checks"),
    ]


def checks_of(trial: Trial) -> list[Check]:
    """Carry the rest out undisturbed, and ask every question."""
    with DeletionStore.open(trial.path) as store:
        while store.status().pending:
            store.process()
        compacted = store.compact() and not store.status().compaction_due
        trial.look(thorough=True)
        log, status = store.log(), store.status()
        names = [json.loads(name) for (name,) in store._database.rows("SELECT name FROM rows")]
        kept = sorted(int(name.rpartition("-")[2]) for name in names)
        certificates = [store.certificate(release) for release in range(1, status.releases + 1)]
        return [
            *check_requests(log, [receipt for _, receipt in trial.receipts]),
            check_rows(trial, log, kept),
            *check_chain(store, trial),
            check_budget(certificates),
            check_shown(trial, status.releases),
            Check("files not compacted", int(not compacted), f"{status.head.size} records, {status.releases} releases"),
            check_traces(trial, kept),
            *check_weights(store, trial, kept),
            Check("unexpected answers", len(trial.wrong), f"{trial.events['processes']} processes"),
        ]
