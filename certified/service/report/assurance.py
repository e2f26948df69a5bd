"""What the figures mean: what is guaranteed and what is not, who can check it, the law, and where the page came from.

The words are those of docs/guarantee.md, docs/store.md and `certificates.statements`; nothing is promised here that is
not promised there.
"""

from __future__ import annotations

import shlex

from certified.service.report.facts import Facts
from certified.service.report.layout import bullets, paragraph, section, table
from certified.service.report.legal import provisions
from certified.service.report.markup import Markup, element, join
from certified.service.report.numbers import about, exactly, instant

_COVERED = (
    "All releases of a model jointly, training included, up to the ε and δ that were fixed at the start.",
    "Requests chosen by somebody who has seen the earlier releases, because every release draws fresh noise.",
    "Any update, good or bad: the distance is computed from the weights and the remaining rows, not inferred from how "
    "they were found.",
    "A request that was acknowledged is on disk; none is carried out twice; a release is shown only after it is "
    "committed.",
    "Deleted rows leave the file of the store: deleted content is overwritten and the file rewritten.",
    "The log cannot be changed unnoticed: a hash chain shows the first bad record, and a head kept elsewhere catches a "
    "log rewritten as a whole.",
)
_NOT_COVERED = (
    "Before and after: whoever holds a model from before a deletion and one from after it may learn the deleted row "
    "from the difference, as with exact retraining. A certificate makes deletion as good as retraining, not better.",
    "What the requests tell: if requests were prompted by earlier releases, which rows were deleted can itself carry "
    "information about a deleted row. So can a refusal.",
    "The remaining rows: they are not protected. For that, look to differential privacy.",
    "Everything beside the weights: data files, backups, logs and older releases; scalers, vocabularies and feature "
    "extractors that were fitted on the deleted rows; hyper-parameters that were tuned on them; running time.",
    "What file systems with snapshots, wear-levelling drives, swap space and memory of running processes keep.",
    "Measured figures, which are evidence for an auditor and no part of the release.",
)


def guarantee(facts: Facts) -> Markup:
    """Return the section in plain words, with the assumptions of the last certificate."""
    heading = "What is guaranteed, and what is not"
    words = [
        paragraph(
            "A certificate compares two worlds that receive the same requests. In yours, the library updates the model "
            "after each request, adds Gaussian noise and releases it. In the reference, each time the exact minimiser "
            "of the same objective on exactly the remaining rows is computed, and released with noise of the same "
            "size. For every event that an observer of the releases could look for, the probability in one world is at "
            "most e",
            element("sup", "ε"),
            " times that in the other, plus δ, both ways round. So whatever your models show after a deletion, they "
            "would have shown almost as probably, under the same requests, if they had been trained again without the "
            "row.",
        ),
        element("h3", "Covered"),
        bullets(_COVERED),
        element("h3", "Not covered"),
        bullets(_NOT_COVERED),
    ]
    if facts.statement is None:
        return section("guarantee", heading, *words)
    said = facts.statement
    settings = [
        ("loss", said["loss"]),
        ("ε, δ", f"{exactly(said['epsilon'])}, {exactly(said['delta'])}"),
        ("noise", f"{said['noise']}, σ = {exactly(said['noise_std'])}"),
        ("L2 strength", f"{exactly(said['l2_strength'])} ({said['l2_scaling']})"),
        (
            "where the features come from",
            said["features"] + (f": {said['features_name']}" * bool(said["features_name"])),
        ),
        ("features, outputs", f"{said['n_features']:,}, {said['n_outputs']:,}"),
        ("releases so far", f"{said['releases']:,}"),
        ("rows taken out since training", f"{said['removed_total']:,}"),
        ("commitment to the released weights", element("code", said["released_commitment"])),
    ]
    return section(
        "guarantee", heading, *words,
        element("h3", "Assumptions nobody checked"), bullets(said["assumptions"]),
        element("h3", "Who is protected against whom"), paragraph(said["threat_model"]),
        element("h3", "Reference"), paragraph(said["reference"]),
        table("Settings of the last release, true whatever the rows are", ("setting", "value"), settings),
    )  # fmt: skip


def checks(facts: Facts) -> Markup:
    """Return the verification report, and who can check what."""
    store = shlex.quote(facts.title)
    examined = facts.checks.checks
    verdicts = {True: "passed", False: "FAILED", None: "not examined"}
    rows = [
        (check.name, verdicts[check.passed], *(() if facts.public else (check.detail,))) for check in examined
    ]  # fmt: skip
    bad = [index for index, check in enumerate(examined) if check.passed is False]
    columns = ("check", "outcome") if facts.public else ("check", "outcome", "detail")
    steps = [
        (
            "Whoever has the file",
            "a head kept elsewhere",
            _command(f"certified store verify {store} --head head.json"),
            "That file, chain, requests, certificates and model agree, and that the log continues the one of the head.",
        ),
        (
            "An auditor with the remaining rows",
            "the certificate and the audit bundle",
            _command(f"certified store publish {store} public.model --certificate latest.json"),
            join(
                [
                    "Then certified.verify(certificate, X, y, bundle.weights, released=bundle.released, "
                    "nonce=bundle.nonce) with bundle = DeletionStore.audit_bundle() recomputes every figure from the "
                    "rows, apart from the code that issued it. Rows and bundle are secrets: verify where they are."
                ]
            ),
        ),
        (
            "Whoever made a request",
            "the receipt",
            _command(f"certified store log {store}"),
            "That ledger.records.names_commitment(nonce, names) of the receipt is in the log, and which release "
            "carried the request out.",
        ),
        (
            "Whoever holds a released model",
            "the commitment above",
            _command("certified.certificates.commitment.weights_commitment(b'', released)"),
            "That the weights at hand are those of the last release.",
        ),
    ]
    return section(
        "checks", "Verification, and who can check what",
        table("Verification of the store when this page was made", columns, rows, failed=bad),
        table("Who can check what", ("who", "with", "how", "what it shows"), steps, wide=True),
    )  # fmt: skip


def law(facts: Facts) -> Markup:
    """Return the table of legal wordings and the figures that speak to them."""
    rows = [(row.where, row.wording, row.figure, row.open) for row in provisions(facts)]
    return section(
        "law",
        "Legal wording and the figures that speak to it",
        paragraph(
            element("strong", "Not legal advice. "),
            "The table says which figure speaks to which wording, not that a law is met. Words in quotation marks are "
            "quoted, all others paraphrased; laws change, so read the provision itself. No figure here speaks of "
            "backups, of raw data kept elsewhere, or of others who received the data.",
            style="note",
        ),
        table(
            "Provisions, figures, and what the figures leave open",
            ("provision", "wording", "figure", "not answered"),
            rows,
            wide=True,
        ),
    )


def provenance(facts: Facts) -> Markup:
    """Return where the page came from and how to make it again."""
    option = " --public" if facts.public else ""
    rows: list[tuple[str, str]] = [
        ("made", join([instant(facts.made), " UTC"])),
        ("library", f"certified-removal {facts.library_version}"),
        ("store", facts.title),
        ("name in the log", "unknown" if facts.name is None else element("code", facts.name)),
    ]
    if facts.head is not None:
        rows += [
            ("records in the log", f"{facts.head.size:,}"),
            ("head of the log", element("code", str(facts.head.digest))),
        ]
    if facts.deadline_days is not None:
        rows.append(("deadline", f"{about(facts.deadline_days)} days after receipt"))
    return section(
        "provenance",
        "Provenance",
        table("Where this page came from", ("what", "value"), rows),
        paragraph("To make it again, as the store is then:"),
        element("pre", f"certified store report {shlex.quote(facts.title)} --out report.html{option}"),
        paragraph(
            "All figures are computed from the log and the certificates of the store. The page loads nothing, runs no "
            "script, and holds no id, subject, row, weight, nonce or salt.",
            style="quiet",
        ),
    )


def _command(text: str) -> Markup:
    return element("code", text)
