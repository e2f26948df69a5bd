"""The verifier's own arithmetic for deletions from private models: genuine ones pass, better ones are not believed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from flint import arb, ctx

from certified.accounting import SubsampledGaussian
from certified.certificates.deletion import DELETION_ASSUMPTIONS
from certified.dp import DeletionCertificate, DPGuarantee, certify_deletion
from certified.dp.curve import Curve
from certified.dp.objective_perturbation import calibrated
from certified.dp.output_curve import OutputCurve
from certified.dp.sampled import SampledCurve
from certified.privacy.gaussian import gaussian_noise_std
from certified.privacy.objective_perturbation import PerturbedProblem
from certified.verification.deletion import _sampled, verify_deletion

ROOT2 = 1.4142135623730951
CURVES: dict[str, Curve] = {
    "output": OutputCurve(1.0, 1.0, 1e-9, 50.0),
    "logistic": calibrated(PerturbedProblem(1.0, 0.25, 1000.0, "logistic"), 1.0, 1e-6, 3),
    "one sign": calibrated(PerturbedProblem(1.0, 0.25, 100.0, "one sign"), 1.0, 1e-6, 2),
    "any": calibrated(PerturbedProblem(1.0, 0.25, 100.0, "any"), 1.0, 1e-6, 2),
    "softmax": calibrated(PerturbedProblem(ROOT2, 0.5, 1000.0, "softmax", 10), 1.0, 1e-6, 2),
    "descent": SampledCurve((SubsampledGaussian(100.0, 1.0, 100),), 0.0),
    "truncated": SampledCurve((SubsampledGaussian(100.0, 1.0, 100),), 1e-12),
}


def _steps(steps: int, rate: float) -> list[dict[str, float]]:
    return [{"noise_multiplier": 8.0, "sampling_rate": rate, "steps": steps}]


def promised(curve: Curve) -> DPGuarantee:
    return DPGuarantee(
        mechanism="private training",
        stated_epsilon=1.0,
        stated_delta=1e-6,
        group_size=1,
        curve=curve,
        loss="logistic",
        n_features=3,
        n_outputs=1,
    )


def issued(curve: Curve, rows: int = 2, epsilon: float = 2.0) -> DeletionCertificate:
    return certify_deletion(promised(curve), rows, epsilon, 1e-6, model="5" * 64)


@pytest.mark.parametrize("name", CURVES)
def test_genuine_certificates_are_confirmed_in_full(name: str) -> None:
    for rows in (1, 2, 3):
        report = verify_deletion(issued(CURVES[name], rows))
        assert report.complete, str(report)


@pytest.mark.parametrize("name", [name for name in CURVES if name != "softmax"])
def test_a_smaller_epsilon_is_not_believed(name: str) -> None:
    genuine = issued(CURVES[name])
    better = dataclasses.replace(genuine, epsilon=0.95 * genuine.epsilon)
    assert [check.name for check in verify_deletion(better).failures] == ["privacy"]


def test_between_formula_and_floor_the_verifier_says_nothing() -> None:
    genuine = issued(CURVES["softmax"])
    unknown = verify_deletion(dataclasses.replace(genuine, epsilon=0.95 * genuine.epsilon))
    assert [check.name for check in unknown.skipped] == ["privacy"] and unknown.ok
    false = verify_deletion(dataclasses.replace(genuine, epsilon=0.3 * genuine.epsilon))
    assert [check.name for check in false.failures] == ["privacy"]


def test_more_deletions_are_not_believed() -> None:
    genuine = issued(CURVES["output"])
    report = verify_deletion(dataclasses.replace(genuine, deletions_left=genuine.deletions_left + 1))
    assert [check.name for check in report.failures] == ["deletions_left"]


def test_what_needs_an_accountant_or_a_quadrature_is_left_open() -> None:
    curve = SampledCurve((SubsampledGaussian(8.0, 0.02, 20),), 0.0)
    sampled = dataclasses.replace(issued(CURVES["descent"]), constants=curve.constants())
    assert [check.name for check in verify_deletion(sampled).skipped] == ["privacy", "deletions_left"]
    quadrature = issued(calibrated(PerturbedProblem(1.0, 0.25, 3.0, "logistic"), 0.3, 1e-7), 1, 0.5)
    assert "privacy" in [check.name for check in verify_deletion(quadrature).skipped]
    assert verify_deletion(sampled).ok and verify_deletion(quadrature).ok


def test_more_rows_than_terms_can_be_added_up_are_left_open() -> None:
    """Where one row after another costs more than δ, and the floor, H_{kμ}, is below it; of more rows it is not."""
    genuine, rows = issued(CURVES["any"]), 20_000
    few = gaussian_noise_std(genuine.epsilon, genuine.delta, 1.02 * rows)
    constants = genuine.constants | {"noise_std": few, "problem": genuine.constants["problem"] | {"strength": 1e12}}
    many = dataclasses.replace(genuine, constants=constants, deleted_total=rows, deletions_left=rows)
    many = dataclasses.replace(many, epsilon_limit=many.epsilon)
    checks = {check.name: check.passed for check in verify_deletion(many).checks}
    assert checks["privacy"] is None and checks["deletions_left"] is False


@pytest.mark.parametrize(
    ("phase", "rows"),
    [((8.0, 0.25, 50), 1), ((1.1, 0.01, 20_000), 3), ((20.0, 0.25, 200), 12), ((8.0, 1e-9, 50), 1), ((8.0, 0.0, 9), 1)],
)
def test_what_sampled_steps_give_away_for_certain_stays_below_their_curve(
    phase: tuple[float, float, int], rows: int
) -> None:
    curve = SampledCurve((SubsampledGaussian(30.0, 1.0, 1), SubsampledGaussian(*phase)), 0.0)
    with ctx.workprec(256):
        bound, floor = _sampled(curve.constants())
        for epsilon in (0.0, 0.3, 2.0):
            assert bound(arb(epsilon), rows) is None
            least = floor(arb(epsilon), rows)
            assert least is not None and least.lower() <= curve.delta(epsilon, rows)


def test_far_too_small_an_epsilon_of_sampled_steps_is_false() -> None:
    genuine = issued(SampledCurve((SubsampledGaussian(8.0, 0.25, 50),), 0.0), 1)
    unknown = verify_deletion(genuine)
    assert unknown.ok and [check.name for check in unknown.skipped] == ["privacy", "deletions_left"]
    false = verify_deletion(dataclasses.replace(genuine, epsilon=0.9 * genuine.epsilon, deletions_left=10))
    assert [check.name for check in false.failures] == ["privacy", "deletions_left"]


def test_the_model_and_its_guarantee_must_be_those_certified() -> None:
    weights, curve = np.arange(3.0).reshape(3, 1), CURVES["output"]
    guarantee = promised(curve)
    genuine = certify_deletion(guarantee, 2, 2.0, 1e-6, model=weights)
    assert verify_deletion(genuine, released=weights, guarantee=guarantee.to_dict()).complete
    assert [c.name for c in verify_deletion(genuine, released=weights + 1e-9).failures] == ["model"]
    louder = dataclasses.replace(guarantee, curve=OutputCurve(1.0, 1.0, 1e-9, 50.1))
    for other in (louder, dataclasses.replace(guarantee, assumptions=()), dataclasses.replace(guarantee, n_features=4)):
        report = verify_deletion(genuine, guarantee=other.to_dict())
        assert [check.name for check in report.failures] == ["guarantee"]


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"threat_model": "Nobody learns anything."}, "statements"),
        ({"assumptions": ()}, "statements"),
        ({"claims": ("T10",)}, "claims"),
        ({"noise": "idealized_gaussian"}, "claims"),
        ({"relation": "replace"}, "claims"),
        ({"epsilon": 3.0}, "record"),
        ({"epsilon": np.nan}, "record"),
        ({"assumptions": list(DELETION_ASSUMPTIONS)}, "record"),
        ({"deleted_total": 0}, "record"),
        ({"model": "weights"}, "record"),
        ({"deletions_left": 10**9}, "record"),
        ({"constants": {"kind": "magic"}}, "privacy"),
        ({"constants": {"kind": "magic", "claims": 3}}, "claims"),
        ({"constants": CURVES["output"].constants() | {"noise_std": 0.0}}, "privacy"),
        ({"constants": CURVES["output"].constants() | {"noise_std": "inf"}}, "privacy"),
        ({"constants": CURVES["any"].constants() | {"release_noise_std": 1e-12}}, "deletions_left"),
        ({"constants": CURVES["descent"].constants() | {"phases": [{}]}}, "privacy"),
        ({"constants": CURVES["descent"].constants() | {"phases": _steps(-4, 1.0)}}, "privacy"),
        ({"constants": CURVES["descent"].constants() | {"phases": _steps(4, 1.5)}}, "privacy"),
        ({"constants": {"kind": "output perturbation", "claims": ["T14"]}}, "privacy"),
    ],
)
def test_altered_records(changes: dict[str, object], check: str) -> None:
    altered = dataclasses.replace(issued(CURVES["output"]), **changes)  # type: ignore[arg-type]
    assert check in [failure.name for failure in verify_deletion(altered).failures]


def test_only_certificates_are_verified() -> None:
    with pytest.raises(TypeError, match="read one with DeletionCertificate"):
        verify_deletion({})  # type: ignore[arg-type]
