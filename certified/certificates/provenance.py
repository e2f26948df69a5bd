"""Where features come from: what the extractor saw decides what a certificate about its features covers (claim T11)."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

KINDS = ("given", "public", "dp", "trained_on_rows")


@dataclass(frozen=True)
class Provenance:
    """What the extractor of the features saw of the rows.

    - ``Provenance()``: the features are the rows themselves, or preprocessing that never saw the deleted rows.
    - ``Provenance.public(name, digest)``: a published extractor, trained elsewhere.
    - ``Provenance.dp(name, digest, epsilon, delta)``: trained on the rows under differential privacy; the certificate
      then also states a guarantee against retraining extractor and head (T11).
    - ``Provenance.trained_on_rows(name, digest)``: trained on the rows without protection; the certificate then covers
      the head alone, and says so first.

    Nothing here is measured: it is the user's word, which every certificate repeats.

    Attributes:
        kind: "given", "public", "dp" or "trained_on_rows".
        name: what the extractor is called; empty for "given".
        digest: SHA-256 that says which extractor it is, 64 hexadecimal digits: of its parameters
            (`certified.features.parameter_digest`), or of its published file where these are not at hand; empty for
            "given", and as you like for "trained_on_rows".
        epsilon, delta: (ε₁, δ₁) for adding or removing one row, each row being in the training set at most once; 0, 0
            where the extractor never saw a deleted row, ∞, 1 where nothing protects it.

    Raises:
        TypeError, ValueError: the attributes do not fit the kind; the message names the one.

    Example:
        >>> Provenance.public("digits-cnn", "0" * 64).kind
        'public'
        >>> Provenance.dp("cnn", "0" * 64, epsilon=2.0, delta=1e-6).epsilon
        2.0
    """

    kind: str = "given"
    name: str = ""
    digest: str = ""
    epsilon: float = 0.0
    delta: float = 0.0

    def __post_init__(self) -> None:
        problem = inconsistency(self.kind, self.name, self.digest, self.epsilon, self.delta)
        if problem is not None:
            raise problem
        for field in ("epsilon", "delta"):  # 2, 2.0 and NumPy's 2.0 are one number, in one spelling
            object.__setattr__(self, field, float(getattr(self, field)))

    @classmethod
    def public(cls, name: str, digest: str) -> Provenance:
        """A published extractor whose training never saw the rows."""
        return cls("public", name, digest)

    @classmethod
    def dp(cls, name: str, digest: str, epsilon: float, delta: float) -> Provenance:
        """An extractor trained on the rows with (ε, δ)-differential privacy for adding or removing one row.

        A guarantee for *replacing* a row says nothing about a missing one. For k deleted rows (ε, δ) grows as claim
        T17c says.
        """
        return cls("dp", name, digest, epsilon, delta)

    @classmethod
    def trained_on_rows(cls, name: str, digest: str = "") -> Provenance:
        """An extractor trained on the rows, deleted ones included, without a guarantee."""
        return cls("trained_on_rows", name, digest, math.inf, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; `from_dict` reads them. An unprotected extractor's ε is left to its kind."""
        return {k: v for k, v in asdict(self).items() if not (isinstance(v, float) and math.isinf(v))}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Provenance:
        """Read what `to_dict` returned."""
        return cls(**({"epsilon": math.inf} if values.get("kind") == "trained_on_rows" else {}) | values)


def inconsistency(kind: Any, name: Any, digest: Any, epsilon: Any, delta: Any) -> Exception | None:
    """Return the error that these attributes deserve, if any."""
    if kind not in KINDS:
        return ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    if not isinstance(name, str) or not isinstance(digest, str):
        return TypeError("name and digest must be strings")
    for field, value in (("epsilon", epsilon), ("delta", delta)):
        if isinstance(value, bool) or not isinstance(value, Real):
            return TypeError(f"{field} must be a number; got {value!r}")
    if kind == "given":
        plain = not name and not digest
        return None if plain and epsilon == delta == 0.0 else ValueError("a given provenance has no further attributes")
    if not name.strip() or not name.isprintable():
        return ValueError("name must be a printable text that says which extractor it is, such as 'digits-cnn v2'")
    if not re.fullmatch("[0-9a-f]{64}", digest) and (digest or kind != "trained_on_rows"):
        return ValueError("digest must be the SHA-256 of the parameters: take certified.features.parameter_digest")
    if kind == "dp":
        if not 0.0 <= epsilon < math.inf:
            return ValueError(f"epsilon must be finite and not negative; got {epsilon!r}: else use trained_on_rows")
        if not 0.0 <= delta < 1.0:
            return ValueError(f"delta must lie in [0, 1); got {delta!r}: else use trained_on_rows")
    elif (epsilon, delta) != ((0.0, 0.0) if kind == "public" else (math.inf, 1.0)):
        return ValueError(f"epsilon and delta are no choice for the kind {kind!r}: leave them to Provenance.{kind}")
    return None
