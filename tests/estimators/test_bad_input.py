"""Every wrong input leads to a clear error, changes nothing, and tells no secret."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from tests.estimators.bad_input_cases import (
    GAMMA,
    LOG_LINK,
    LOGISTIC,
    RIDGE,
    SVC,
    Case,
    X,
    gamma,
    logistic,
    poisson,
    ridge,
    svc,
)
from tests.estimators.reference import REGRESSORS, Model, snapshot, told


@pytest.fixture(scope="module")
def fitted() -> dict[str, bytes]:
    return {make.__name__: pickle.dumps(make()) for make in (logistic, ridge, svc, poisson, gamma)}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error with those it came from, shown or not: reports of crashes hold them all."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def refuse(model: Model, case: Case) -> None:
    """Make the wrong request; check the error, that nothing has changed and that the model still works."""
    before = snapshot(vars(model))
    predictions = model.predict(X)
    with pytest.raises(case.error, match=f"(?s){case.message}") as caught:
        case.request(model)
    assert snapshot(vars(model)) == before
    assert np.array_equal(model.predict(X), predictions)

    secrets = np.concatenate([model.audit_bundle().weights.ravel(), X[1:].ravel()])
    assert told(repr(secrets.tolist()), secrets) == secrets.tolist()
    for error in chain(caught.value):
        assert not told(f"{error!s} {error!r}", secrets, digits=6)
        assert "could not convert" not in str(error)  # what follows is an entry of the rows

    assert model.remove(["last"]).remaining_count == 10
    label = 0.5 if isinstance(model, REGRESSORS) else "b"
    assert model.add(X[:1], [label], ids=[0]).remaining_count == 11
    assert model.release().releases == 5


@pytest.mark.parametrize("name", LOGISTIC)
def test_classifier_refuses(name: str, fitted: dict[str, bytes]) -> None:
    refuse(pickle.loads(fitted["logistic"]), LOGISTIC[name])


@pytest.mark.parametrize("name", RIDGE)
def test_regressor_refuses(name: str, fitted: dict[str, bytes]) -> None:
    refuse(pickle.loads(fitted["ridge"]), RIDGE[name])


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, table in (("svc", SVC), ("poisson", LOG_LINK), ("gamma", GAMMA)) for name in table],
)
def test_the_other_estimators_refuse(kind: str, name: str, fitted: dict[str, bytes]) -> None:
    table = {"svc": SVC, "poisson": LOG_LINK, "gamma": GAMMA}[kind]
    refuse(pickle.loads(fitted[kind]), table[name])


def test_the_table_is_long_and_states_what_is_wrong() -> None:
    assert len(LOGISTIC) + len(RIDGE) >= 30
    for case in (*LOGISTIC.values(), *RIDGE.values(), *SVC.values(), *GAMMA.values()):
        assert case.message.strip(".*")
