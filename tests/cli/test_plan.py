from __future__ import annotations

from pathlib import Path

import pytest

from certified.cli import modelfile
from certified.privacy.budget import ReleaseBudget
from certified.removal.costs import REFERENCE, modelled_costs
from certified.removal.forecast import forecast
from tests.cli.conftest import run

MNIST = ("--n", "11982", "--dimension", "784", "--strength", "1e-3", "--epsilon", "1", "--delta", "1e-4")


def test_the_plan_is_that_of_the_library() -> None:
    found = run("plan", *MNIST, "--noise-std", "0.05", "--json").json
    target = ReleaseBudget.create(1.0, 1e-4, 0.05, 100).target
    costs = modelled_costs(REFERENCE, 11982, 784, 1, 1)
    expected = forecast(target, 1.0, 1.0 / (4 * 11.982), costs)
    assert found["distance_target"] == target
    assert found["costs"]["gradient_pass"] == costs.gradient_pass
    assert found["forecast"]["rows_per_pass"] == expected.rows_per_pass
    assert found["cheapest"] == "ledger step"


def test_less_noise_needs_more_passes() -> None:
    fine, coarse = (run("plan", *MNIST, "--noise-std", noise, "--json").json for noise in ("1e-6", "1"))
    assert fine["forecast"]["rows_per_pass"] < coarse["forecast"]["rows_per_pass"]
    assert fine["forecast"]["seconds_per_row"] > coarse["forecast"]["seconds_per_row"]


def test_in_words() -> None:
    text = run("plan", *MNIST, "--noise-std", "0.05").out
    assert "deletions per pass" in text and "estimated" in text and "ledger step" in text


def test_rates_can_be_measured() -> None:
    found = run("plan", *MNIST, "--noise-std", "0.05", "--measure", "--json").json
    assert found["speeds"]["bandwidth"] > 1e8 and found["speeds"]["flops"] > 1e8


@pytest.mark.parametrize(("name", "value"), [("--noise-std", "0"), ("--strength", "-1"), ("--feature-norm", "inf")])
def test_bad_input_is_named(name: str, value: str) -> None:
    refused = run("plan", *MNIST, "--noise-std", "0.05", name, value)
    assert refused.status == 2 and name in refused.err


def test_a_saved_model_says_everything_by_itself(model: Path) -> None:
    found, last = run("plan", "--model", model, "--json").json, modelfile.load(model).certificate_
    costs = modelled_costs(REFERENCE, last.remaining_count, 4, 1, 1)
    step = last.row_norm_bound / (4.0 * last.alpha)
    expected = forecast(last.distance_target, last.row_norm_bound, step, costs)
    assert found["costs"]["solve"] == costs.solve
    assert found["forecast"]["rows_per_linearisation"] == expected.rows_per_linearisation
    refused = run("plan", "--model", model, "--n", "5")
    assert refused.status == 2 and "--n: leave out what --model says by itself" in refused.err


def test_what_is_missing_is_named() -> None:
    refused = run("plan", "--n", "5", "--delta", "1e-5")
    assert refused.status == 2
    assert "--dimension, --strength, --epsilon, --noise-std missing" in refused.err
