"""Guarantees and their curves come back from JSON number for number, or not at all."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certified.accounting import SubsampledGaussian
from certified.certificates.record import CertificateFormatError
from certified.dp import DPGuarantee
from certified.dp.curve import Curve
from certified.dp.curves import read_curve
from certified.dp.objective_curve import ObjectiveCurve
from certified.dp.output_curve import OutputCurve
from certified.dp.sampled import SampledCurve
from certified.privacy.objective_perturbation import PerturbedProblem
from tests.sealing import sealed

NOISE = st.floats(0.01, 1e9)
CURVES = st.one_of(
    st.builds(OutputCurve, NOISE, NOISE, st.floats(0.0, 1.0), NOISE),
    st.builds(
        SampledCurve,
        st.lists(st.builds(SubsampledGaussian, NOISE, st.floats(0.0, 1.0), st.integers(0, 10**6)), max_size=3).map(
            tuple
        ),
        st.floats(0.0, 1e-3),
    ),
    st.builds(
        ObjectiveCurve,
        st.builds(PerturbedProblem, NOISE, NOISE, NOISE, st.sampled_from(["any", "one sign", "logistic"])),
        *(NOISE, st.floats(0.0, 1.0), NOISE, NOISE, NOISE),
    ),
)
OUTPUT = OutputCurve(gradient_bound=1.0, strength=1.0, distance=0.0, noise_std=20.0)
SAMPLED = SampledCurve((SubsampledGaussian(50.0, 1.0, 25),), 1e-12)
OBJECTIVE = ObjectiveCurve(PerturbedProblem(1.4, 0.5, 8.0, "softmax", 3), 2.0, 1e-9, 1e-3, 1e-3, 1e-9)


def promised(curve: Curve) -> DPGuarantee:
    return DPGuarantee(
        mechanism="private training",
        stated_epsilon=1.0,
        stated_delta=1e-6,
        group_size=2,
        curve=curve,
        loss="logistic",
        n_features=3,
        n_outputs=1,
        assumptions=("rows are honest",),
    )


@settings(max_examples=40, deadline=None)
@given(CURVES)
def test_every_number_survives(curve: Curve) -> None:
    guarantee = promised(curve)
    for indent in (None, 2):
        read = DPGuarantee.from_json(guarantee.to_json(indent=indent))
        assert read == guarantee and read.to_json() == guarantee.to_json()
    assert read_curve(json.loads(json.dumps(curve.constants()))) == curve


@pytest.mark.parametrize("curve", [OUTPUT, SAMPLED, OBJECTIVE], ids=["output", "sampled", "objective"])
def test_what_was_read_promises_the_same(curve: Curve, tmp_path: Path) -> None:
    path, guarantee = tmp_path / "guarantee.json", promised(curve)
    guarantee.save(path)
    read = DPGuarantee.load(path)
    assert (read.claims, read.delta(1.5, 1), str(read)) == (guarantee.claims, guarantee.delta(1.5, 1), str(guarantee))


@pytest.mark.parametrize(
    ("curve", "changes", "message"),
    [
        (OUTPUT, {"kind": "magic"}, "a mechanism 'magic' that this version does not know"),
        (OUTPUT, {"kind": ["output perturbation"]}, "does not know"),
        (OUTPUT, {"noise_std": 0.0}, "'noise_std' must be positive and finite"),
        (OUTPUT, {"noise_std": "inf"}, "'noise_std' must be positive and finite"),
        (OUTPUT, {"strength": -1.0}, "'strength' must be positive"),
        (OUTPUT, {"distance": 1}, "'distance' must be of type float"),
        (OUTPUT, {"claims": ["T1"]}, "claims are not those"),
        (OUTPUT, {"more": 1.0}, "missing or unknown fields: more"),
        (SAMPLED, {"phases": {}}, "'phases' must be a list"),
        (SAMPLED, {"phases": [3]}, "'phases' must be of type"),
        (SAMPLED, {"phases": [{}]}, "missing or unknown fields: noise_multiplier"),
        (SAMPLED, {"phases": [{"noise_multiplier": 1.0, "sampling_rate": 1.5, "steps": 3}]}, "sampling_rate"),
        (SAMPLED, {"phases": [{"noise_multiplier": 1.0, "sampling_rate": 0.5, "steps": True}]}, "'steps' must be"),
        (SAMPLED, {"truncation": -1e-9}, "'truncation' must be positive"),
        (OBJECTIVE, {"problem": None}, "'problem' must be of type"),
        (OBJECTIVE, {"problem": OBJECTIVE.constants()["problem"] | {"slopes": "steep"}}, "slopes must be"),
        (OBJECTIVE, {"problem": OBJECTIVE.constants()["problem"] | {"outputs": 1}}, "outputs must be"),
        (OBJECTIVE, {"spent_delta": 0.0}, "'spent_delta' must be positive"),
    ],
)
def test_other_constants_are_refused(curve: Curve, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CertificateFormatError, match=message):
        DPGuarantee.from_json(sealed(promised(curve), curve=curve.constants() | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"claims": ["T1"]}, "claims are not those"),
        ({"noise": "idealized_gaussian"}, "claims are not those"),
        ({"group_size": 2.0}, "'group_size' must be of type int"),
        ({"curve": []}, "'curve' must be of type"),
        ({"schema": "certified-dp/2"}, "not a record of schema 'certified-dp/1'"),
    ],
)
def test_other_guarantees_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CertificateFormatError, match=message):
        DPGuarantee.from_json(sealed(promised(OUTPUT), **changes))


def test_an_altered_guarantee_is_noticed() -> None:
    text = promised(OUTPUT).to_json()
    assert DPGuarantee.from_json(text) != dataclasses.replace(promised(OUTPUT), group_size=3)
    with pytest.raises(CertificateFormatError, match="altered"):
        DPGuarantee.from_json(text.replace('"noise_std":20.0', '"noise_std":40.0'))
