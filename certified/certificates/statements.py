"""The plain words of a certificate: reference, threat model, standing assumptions."""

from __future__ import annotations

from certified.certificates.provenance import Provenance

REFERENCE = (
    "Exact minimiser of the same objective on exactly the remaining rows, released with fresh Gaussian noise of the "
    "same standard deviation; a model of one remaining class or of no rows is a constant, the same in both."
)

THREAT_MODEL = (
    "Observer of every released model since training (weights, never the noise-free state), who may choose each "
    "request after seeing earlier releases. Not covered: comparing a model released before a deletion with one "
    "released after it to learn what the deleted row was; what a request sequence itself reveals when it was chosen "
    "from earlier releases; this certificate's measured figures, which are evidence for an auditor and not part of "
    "the release."
)

ASSUMPTIONS = (
    "hyper-parameters (C, intercept, scaling, noise_std) were not tuned on the deleted rows",
    "matrix products are sums of products in any order, with IEEE 754 arithmetic (no Strassen-type algorithms)",
    "the operating system's entropy source is unpredictable",
)

IDEALIZED_NOISE = (
    "idealized_noise: the noise came from a seeded floating-point sampler, so T3 speaks of an idealisation of it and "
    "T13 does not hold"
)

CLAIMS = ("T3", "T4", "T12", "T16")

EXTRACTOR_CLAIMS = ("T11", "T17c")
"""Claims about an extractor that was trained on the rows under differential privacy."""


def assumptions(features: Provenance, noise: str) -> tuple[str, ...]:
    """Return the standing assumptions, the gravest first.

    >>> assumptions(Provenance.trained_on_rows("cnn"), "rounded_gaussian")[0][:18]
    'the head only: the'
    """
    said = features_statement(features)
    first = (said,) if features.kind == "trained_on_rows" else ()
    idealized = (IDEALIZED_NOISE,) if noise == "idealized_gaussian" else ()
    tuning, *others = ASSUMPTIONS
    return (*first, *idealized, tuning, *(() if first else (said,)), *others)


def unproved_loss(name: str) -> str:
    """Return what a certificate says about a loss that came from outside the library."""
    return (
        f"the loss {name!r} is convex and its constants hold: they are its author's word, no claim of this library "
        "proves them, and the library's verifier refuses the certificate"
    )


def features_statement(features: Provenance) -> str:
    """Return what the certificate says about where its features come from (claim T11)."""
    named = f"{features.name!r}" + (f" (SHA-256 {features.digest})" if features.digest else "")
    return {
        "given": "features are the rows themselves or come from preprocessing that never saw the deleted rows",
        "public": f"features come from the public extractor {named}, trained without the deleted rows",
        "dp": (
            f"features come from the extractor {named}, trained with ({features.epsilon!r}, {features.delta!r})"
            "-differential privacy for adding or removing one row, each row being in its training set at most once; "
            "epsilon and delta compare with retraining the head on the same features, full_epsilon and full_delta "
            "with retraining extractor and head without the removed rows, if these were not chosen by looking at the "
            "extractor or at releases"
        ),
        "trained_on_rows": (
            f"the head only: the extractor {named} was trained on the rows, deleted ones included, so extractor and "
            "features may carry them still, and no guarantee here covers that"
        ),
    }[features.kind]
