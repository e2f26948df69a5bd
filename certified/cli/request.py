"""What every request that changes a model reports: the certificate in words, or as JSON."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from certified.cli.output import facts, print_json, print_rich

if TYPE_CHECKING:
    from certified.certificates.certificate import Certificate
    from certified.estimators.base import CertifiedEstimator


@dataclass
class Clock:
    """Seconds that a step took."""

    seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    """Measure the seconds spent in the block."""
    clock, start = Clock(), time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - start


@dataclass(frozen=True)
class Outcome:
    """A request that went through and the files it wrote."""

    command: str
    estimator: CertifiedEstimator
    model: Path
    certificate_path: Path
    seconds: float

    def show(self, *, as_json: bool) -> None:
        """Print the outcome."""
        from certified.estimators.saved_model import secret_path

        certificate, update = self.estimator.certificate_, self.estimator.update_info_
        if as_json:
            print_json(
                {
                    "command": self.command,
                    "model": str(self.model),
                    "secret": str(secret_path(self.model)),
                    "certificate_path": str(self.certificate_path),
                    "seconds": self.seconds,
                    "update": dataclasses.asdict(update),
                    "certificate": certificate.to_dict(),
                }
            )
            return
        effort = f"{duration(self.seconds)}, compilation included; {update.passes} data passes"
        files = {
            "model": f"{self.model} (released weights)",
            "secrets": f"{secret_path(self.model)} (rows and noise-free weights, for you alone)",
            "certificate": f"{self.certificate_path} (for auditors)",
        }
        print_rich(
            facts(
                _headline(certificate), {"loss": certificate.loss, **guarantee(certificate), "effort": effort, **files}
            )
        )


def guarantee(certificate: Certificate) -> dict[str, str]:
    """The certificate's statement in words, for people."""
    releases = "release" if certificate.releases == 1 else f"{certificate.releases} releases together"
    sampler = "exact Gaussian" if certificate.noise == "rounded_gaussian" else "idealised Gaussian"
    return {
        "guarantee": f"ε = {certificate.epsilon:g}, δ = {certificate.delta:g} for the {releases}, against retraining",
        "best test": f"tells it from exact retraining with a success of at most {best_guess(certificate.mu):.3%}",
        "distance": f"at most {certificate.distance_bound:.3g} before noise (claim {certificate.distance_claim}); "
        f"{certificate.distance_target:.3g} is allowed",
        "noise": f"σ = {certificate.noise_std:.4g} per weight, {sampler}",
    }


def best_guess(mu: float) -> float:
    """Largest success rate of any test between two equally likely sides that are μ apart: (1 + δ(0))/2 (claim T3)."""
    from certified.privacy.gaussian import gaussian_delta

    return 0.5 * (1.0 + gaussian_delta(epsilon=0.0, sensitivity=mu, noise_std=1.0))


def duration(seconds: float) -> str:
    """Seconds for people."""
    return f"{1000.0 * seconds:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"


def _headline(certificate: Certificate) -> str:
    done = {
        "fit": f"Trained on {certificate.added_count} rows",
        "remove": f"Deleted {_rows(certificate.removed_count)}",
        "add": f"Added {_rows(certificate.added_count)}",
        "correct": f"Corrected {_rows(certificate.added_count)}",
        "release": "Released again",
    }[certificate.event]
    return f"{done}; {_rows(certificate.remaining_count)} in force, certified"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
