"""The plain words of a certificate: reference, threat model, standing assumptions."""

from __future__ import annotations

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
    "features are the rows themselves or come from preprocessing that never saw the deleted rows",
    "matrix products are sums of products in any order, with IEEE 754 arithmetic (no Strassen-type algorithms)",
    "the operating system's entropy source is unpredictable",
)

IDEALIZED_NOISE = (
    "idealized_noise: the noise came from a seeded floating-point sampler, so T3 speaks of an idealisation of it and "
    "T13 does not hold"
)

CLAIMS = ("T3", "T4", "T12", "T16")
