"""Which figure of the report speaks to which legal wording, and what it leaves open. No row says that a law is met.

Words in quotation marks are those of the provision; everything else is a paraphrase. Sources: Regulation (EU) 2016/679
(GDPR); California Civil Code §§ 1798.105 and 1798.130 as amended by the CPRA; California Code of Regulations, title 11,
§§ 7022 and 7101 as published in November 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

from certified.service.report.facts import Facts
from certified.service.report.numbers import about, at_most, count, exactly, span


@dataclass(frozen=True)
class Provision:
    """One row of the table.

    Attributes:
        where: the provision.
        wording: what it says, in short.
        figure: what this report has to say to it.
        open: what the figure does not answer.
    """

    where: str
    wording: str
    figure: str
    open: str


def provisions(facts: Facts) -> list[Provision]:
    """Return the table for a store."""
    return [*_gdpr(facts), *_california(facts)]


def _gdpr(facts: Facts) -> list[Provision]:
    timing = facts.timing
    return [
        Provision(
            "GDPR Art. 5(1)(e), storage limitation",
            "Data are “kept in a form which permits identification of data subjects for no longer than is necessary "
            "for the purposes for which the personal data are processed”.",
            f"{_rows(facts)} {_traces(facts)}",
            "Whether the remaining rows are still necessary; data files, backups and copies outside the store.",
        ),
        Provision(
            "GDPR Art. 5(2), accountability",
            "The controller answers for the principles and must be able to show that they are kept.",
            f"{_log(facts)} {count(len(facts.releases), 'certificate')} in the store.",
            "The log shows what this store did, not what happened elsewhere. Without a head kept elsewhere, a log that "
            "was rewritten as a whole would not be noticed.",
        ),
        Provision(
            "GDPR Art. 12(3), time limit",
            "Information on action taken is due “without undue delay and in any event within one month of receipt of "
            "the request”; an extension by two further months is possible where necessary.",
            f"{_times(facts)} {_beyond(timing.beyond_month)} more than one calendar month.",
            "The clock of the store starts when a request is entered, not when the person sent it. Whether and when "
            "the person was informed is not recorded. Months are counted in UTC.",
        ),
        Provision(
            "GDPR Art. 16, rectification",
            "A right to “the rectification of inaccurate personal data” without undue delay.",
            f"{count(_event(facts, 'correct'), 'release')} on record corrected rows. A corrected row falls under the "
            "same guarantee: the reference is training on the corrected rows.",
            "Whether the new values are right; corrections in other systems.",
        ),
        Provision(
            "GDPR Art. 17(1), erasure",
            "A right to “the erasure of personal data concerning him or her without undue delay” where one of the "
            "listed grounds applies.",
            f"{count(timing.done, 'request')} done, {timing.pending:,} pending, {timing.overdue:,} overdue. "
            f"{_guarantee(facts)}",
            "Whether a ground applies; whether a model can hold personal data, and whether a bound on probabilities is "
            "erasure, are questions of law. Raw data, backups and copies elsewhere.",
        ),
        Provision(
            "GDPR Art. 17(3), exceptions",
            "No erasure as far as processing is necessary for freedom of expression and information, legal obligations "
            "or public tasks, public health, archiving, research or statistics, or legal claims.",
            "None. The store weighs no exceptions: a request that it accepts is pending until it is carried out.",
            "Exceptions must be examined before a request is entered; reasons for declining one are not recorded here.",
        ),
        Provision(
            "GDPR Art. 19, recipients",
            "An erasure or rectification is communicated “to each recipient to whom the personal data have been "
            "disclosed, unless this proves impossible or involves disproportionate effort”.",
            "The commitment to the released weights (section on the guarantee) lets a recipient tell whether the model "
            "at hand is the last release.",
            "Who received rows or earlier models, and whether they were told: the store knows no recipients.",
        ),
        Provision(
            "GDPR Art. 24 and 25, responsibility and design",
            "Suitable technical and organisational measures, to ensure and to be able to show that processing is in "
            "accordance with the Regulation; designed to implement the principles effectively.",
            f"{_settings(facts)} A request that would exceed the bound is refused rather than carried out with less.",
            "Whether the measures, and the chosen ε and δ, suit the risk.",
        ),
        Provision(
            "GDPR Art. 30, records of processing",
            "Records of processing activities, with the time limits envisaged for erasure where possible.",
            _deadline(facts),
            "This report is not the record of processing activities, though it may be referred to there.",
        ),
        Provision(
            "GDPR Art. 32, security",
            "A level of security that suits the risk, including regular testing of the measures.",
            f"{_checks(facts)} The store opens only a file that is its owner’s alone, and overwrites what it deletes.",
            "Encryption of the disk, access to the machine, memory, backups, snapshots of the file system.",
        ),
    ]


def _california(facts: Facts) -> list[Provision]:
    timing = facts.timing
    return [
        Provision(
            "California Civil Code § 1798.105, deletion (CCPA as amended by the CPRA)",
            "A right to request “that a business delete any personal information about the consumer which the business "
            "has collected from the consumer”; service providers, contractors and third parties are to be told; "
            "exceptions apply.",
            f"{count(timing.done, 'request')} done of {timing.received:,} received. {_guarantee(facts)}",
            "Whether the request was verifiable and whether an exception applies; records outside the store; whether "
            "others were told; whether a trained model holds personal information.",
        ),
        Provision(
            "California Civil Code § 1798.130(a)(2), time limit",
            "To be done “within 45 days of receiving a verifiable consumer request from the consumer”; may be extended "
            "once by 45 days with notice.",
            f"{_times(facts)} {_beyond(timing.beyond_45_days)} more than 45 days.",
            "When the consumer’s request reached the business, and whether notice of an extension was given.",
        ),
        Provision(
            "California Code of Regulations, title 11, § 7022(b)(1), how to delete",
            "“Permanently and completely erasing the personal information from its existing systems except archived or "
            "backup systems, deidentifying the personal information, or aggregating the consumer information”.",
            f"{_rows(facts)} {_traces(facts)}",
            "Other systems; archives and backups, for which the section has a rule of its own; whether released "
            "weights count as deidentified or aggregated.",
        ),
        Provision(
            "California Code of Regulations, title 11, § 7101, record-keeping",
            "Records of requests and of the responses are kept “for at least 24 months”.",
            f"{_log(facts)} Each request is there with the time it came and the release that carried it out.",
            "The manner of the request, the response to the consumer and the basis of a denial, which the section also "
            "asks for.",
        ),
    ]


def _rows(facts: Facts) -> str:
    """Rows out since training, and rows in force unless that is for auditors only."""
    if facts.statement is None:
        return "No certificate can be read."
    out = f"{count(facts.statement['removed_total'], 'row')} taken out since training"
    evidence = facts.releases[-1].evidence if facts.releases else None
    return f"{out}." if evidence is None else f"{out}, {evidence.remaining:,} in force."


def _traces(facts: Facts) -> str:
    if facts.traces is None:
        return "Whether traces of deleted rows are left in the file is unknown."
    return (
        "Traces of deleted rows may be left in the file: run store compact."
        if facts.traces
        else "The file has been rewritten since the last deletion."
    )


def _log(facts: Facts) -> str:
    records = (
        "A log that cannot be read"
        if facts.head is None
        else f"A hash-chained log of {count(facts.head.size, 'record')}"
    )
    return f"{records}; verification {'passed' if facts.checks.ok else 'FAILED'}."


def _checks(facts: Facts) -> str:
    passed = sum(check.passed is True for check in facts.checks.checks)
    return f"{passed} of {count(len(facts.checks.checks), 'check')} passed, {len(facts.checks.failures)} failed."


def _times(facts: Facts) -> str:
    timing = facts.timing
    if timing.median is None or timing.most is None or timing.longest is None:
        return "Nothing is done yet."
    return (
        f"Median {span(timing.median)}, 95 % within {span(timing.most)}, longest {span(timing.longest)}; "
        f"{timing.done_late:,} done late, {timing.overdue:,} overdue."
    )


def _beyond(number: int) -> str:
    return f"{count(number, 'request')} took, or {'has' if number == 1 else 'have'} been pending for,"


def _deadline(facts: Facts) -> str:
    return (
        "Unknown."
        if facts.deadline_days is None
        else f"Requests are due {about(facts.deadline_days)} days after receipt."
    )


def _event(facts: Facts, event: str) -> int:
    return sum(release.event == event for release in facts.releases)


def _guarantee(facts: Facts) -> str:
    if facts.statement is None or not facts.releases:
        return "No certificate can be read."
    last = facts.releases[-1]
    pair = f"(ε, δ) = ({exactly(last.epsilon)}, {exactly(last.delta)}) over {count(last.number, 'release')}"
    if last.evidence is None:
        return f"{pair}."
    return f"{pair}; noise-free weights at most {at_most(last.evidence.distance_bound)} from exact retraining."


def _settings(facts: Facts) -> str:
    if facts.statement is None:
        return "No certificate can be read."
    epsilon, delta, noise = (exactly(facts.statement[name]) for name in ("epsilon", "delta", "noise_std"))
    return f"ε = {epsilon} and δ = {delta} for all releases together, and noise σ = {noise}, were fixed at the start."
