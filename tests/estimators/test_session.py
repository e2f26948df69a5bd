"""Random request sequences against exact retraining on a plain table of the rows that should be in force."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from jax.sharding import Mesh

from certified.estimators import CertifiedLogisticRegression, CertifiedRidge
from tests.estimators.reference import Model, Reference, Row

SIXTEENTHS = st.integers(-16, 16).map(lambda k: k / 16)
WEIGHTS = st.sampled_from([1.0, 1.0, 1.0, 0.0, 0.5, 3.0])
FEATURES = st.tuples(SIXTEENTHS, SIXTEENTHS)


class Requests(RuleBasedStateMachine):
    """Every rule is one request; the reference checks state, release, certificate and erasure after each."""

    labels: st.SearchStrategy[Any]
    model: Model
    mesh: Mesh | None = None

    def row(self, data: st.DataObject) -> Row:
        """A new row, or now and then the copy of one in force."""
        if self.reference.rows and data.draw(st.integers(0, 4)) == 0:
            return self.reference.rows[data.draw(st.sampled_from(list(self.reference.rows)))]
        return data.draw(st.builds(Row, FEATURES, self.labels, WEIGHTS))

    def some(self, data: st.DataObject, most: int = 4) -> list[int | str]:
        """Some ids in force, at least one."""
        return data.draw(st.lists(st.sampled_from(list(self.reference.rows)), min_size=1, max_size=most, unique=True))

    @property
    def in_force(self) -> bool:
        return bool(self.reference.rows)

    def start(self, model: Model, rows: list[Row]) -> None:
        counted = [Row(rows[0].features, rows[0].label, 1.0), *rows[1:]]
        subjects = [f"s{i % 3}" for i in range(len(counted))]
        self.subjects: dict[int | str, str] = dict(enumerate(subjects))
        self.graveyard: dict[int | str, Row] = {}
        self.next_id = len(counted)
        self.reference = Reference.fitted(model, dict(enumerate(counted)), subjects=subjects, mesh=self.mesh)

    def bury(self, ids: list[int | str], **request: Any) -> None:
        self.graveyard |= {key: self.reference.rows[key] for key in ids}
        self.subjects = {key: s for key, s in self.subjects.items() if key not in ids}
        self.reference.remove(ids, **request)

    @precondition(lambda self: self.in_force)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.bury(self.some(data))

    @precondition(lambda self: self.subjects)
    @rule(data=st.data())
    def remove_subject(self, data: st.DataObject) -> None:
        subject = data.draw(st.sampled_from(sorted(set(self.subjects.values()))))
        self.bury([key for key, owner in self.subjects.items() if owner == subject], subjects=subject)

    @precondition(lambda self: self.in_force)
    @rule()
    def remove_everything(self) -> None:
        self.bury(list(self.reference.rows))

    @rule(data=st.data(), count=st.integers(1, 4))
    def add(self, data: st.DataObject, count: int) -> None:
        new: dict[int | str, Row] = {}
        for _ in range(count):
            new[f"n{self.next_id}"] = self.row(data)
            self.next_id += 1
        self.reference.add(new)

    @rule(data=st.data())
    def add_for_subject(self, data: st.DataObject) -> None:
        key, self.next_id = self.next_id, self.next_id + 1
        self.subjects[key] = "s1"
        self.reference.add({key: self.row(data)}, subjects=["s1"])

    @precondition(lambda self: self.graveyard)
    @rule(data=st.data())
    def add_again(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(list(self.graveyard)))
        self.reference.add({key: self.graveyard.pop(key)})

    @precondition(lambda self: self.in_force)
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        self.reference.correct({key: self.row(data) for key in self.some(data, most=3)})

    @rule()
    def release(self) -> None:
        self.reference.release()


class LogisticRequests(Requests):
    labels = st.sampled_from(["a", "b", "c"])

    @initialize(
        rows=st.lists(st.builds(Row, FEATURES, labels, WEIGHTS), min_size=1, max_size=12),
        fit_intercept=st.booleans(),
        l2_scaling=st.sampled_from(["total", "per_sample"]),
        C=st.sampled_from([0.1, 1.0, 30.0]),
    )
    def fit(self, rows: list[Row], **params: Any) -> None:
        self.start(CertifiedLogisticRegression(**params), rows)

    @precondition(lambda self: self.in_force)
    @rule(data=st.data())
    def remove_label(self, data: st.DataObject) -> None:
        rows = self.reference.rows
        label = data.draw(st.sampled_from(sorted({row.label for row in rows.values()})))
        self.bury([key for key, row in rows.items() if row.label == label], labels=label)


class RidgeRequests(Requests):
    labels = SIXTEENTHS.filter(lambda y: y != 0.0)

    @initialize(
        rows=st.lists(st.builds(Row, FEATURES, labels, WEIGHTS), min_size=1, max_size=12),
        fit_intercept=st.booleans(),
        l2_scaling=st.sampled_from(["total", "per_sample"]),
        C=st.sampled_from([0.1, 1.0, 30.0]),
    )
    def fit(self, rows: list[Row], **params: Any) -> None:
        self.start(CertifiedRidge(**params), rows)


SHORT = settings(max_examples=12, stateful_step_count=12, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=150, stateful_step_count=40, suppress_health_check=list(HealthCheck))
TestLogisticRequests = LogisticRequests.TestCase
TestLogisticRequests.settings = SHORT
TestRidgeRequests = RidgeRequests.TestCase
TestRidgeRequests.settings = SHORT


@pytest.mark.slow
class TestManyLogisticRequests(LogisticRequests.TestCase):
    settings = LONG


@pytest.mark.slow
class TestManyRidgeRequests(RidgeRequests.TestCase):
    settings = LONG
