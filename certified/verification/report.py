"""What a verification found: named checks, readable by people and by programs. It holds no secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class VerificationError(ValueError):
    """A certificate was not confirmed; the message names the failed checks."""


@dataclass(frozen=True)
class Check:
    """One statement about a certificate.

    Attributes:
        name: stable name of the check.
        passed: whether it was confirmed; None where it was not examined.
        detail: what was compared, or why it was not examined.
    """

    name: str
    passed: bool | None
    detail: str

    def __str__(self) -> str:
        verdict = {True: "pass", False: "FAIL", None: "skip"}[self.passed]
        return f"{verdict}  {self.name:<20}  {self.detail}"


@dataclass(frozen=True)
class VerificationReport:
    """All checks of one certificate; true exactly when none failed.

    >>> report = VerificationReport((Check("row_count", False, "9 rows given, 10 certified"),))
    >>> bool(report), [check.name for check in report.failures]
    (False, ['row_count'])
    """

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def complete(self) -> bool:
        """Whether every check was examined and passed: without the nonce it stays open which rows are meant."""
        return all(check.passed for check in self.checks)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.passed is False)

    @property
    def skipped(self) -> tuple[Check, ...]:
        """The checks that were not examined."""
        return tuple(check for check in self.checks if check.passed is None)

    def raise_if_failed(self) -> None:
        """Do nothing if every examined check passed.

        Raises:
            VerificationError: some check failed; the message names each with its detail.
        """
        if not self.ok:
            failed = "; ".join(f"{check.name}: {check.detail}" for check in self.failures)
            raise VerificationError(f"the certificate is not confirmed: {failed}")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values: ``ok`` and the list of checks (``passed`` is null where not examined)."""
        checks = [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks]
        return {"ok": self.ok, "checks": checks}

    def __str__(self) -> str:
        confirmed = len(self.checks) - len(self.failures) - len(self.skipped)
        verdict = "certificate confirmed" + ("" if self.complete else " as far as examined")
        head = verdict if self.ok else "certificate NOT confirmed"
        counts = f"{confirmed} checks passed, {len(self.failures)} failed, {len(self.skipped)} not examined"
        return "\n".join([f"{head}: {counts}", *(f"  {check}" for check in self.checks)])
