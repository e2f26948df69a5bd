"""Logistic regression trained with differential privacy: deletions then cost nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from certified.data.rows import Rows, norm_bounds
from certified.dp import DPGuarantee, DPRelease, RowLimits, objective_perturbation, output_perturbation
from certified.dp.limits import TOLERANCE
from certified.estimators.encoding import Label, OneHot, OneVsRest
from certified.estimators.parameters import positive
from certified.estimators.validation import without_rows
from certified.losses import LOGISTIC, SOFTMAX, Loss
from certified.numerics.rounding import MAGNITUDE_LIMIT
from certified.objective import Objective
from certified.privacy.noise import idealized_gaussian, release_gaussian

Array = npt.NDArray[np.float64]


def _sgd(*args: Any, **kwargs: Any) -> DPRelease:
    # Loaded on first use: it needs optax.
    from certified.dp import private_sgd

    return private_sgd(*args, **kwargs)


METHODS: dict[str, Callable[..., DPRelease]] = {
    "objective": objective_perturbation,
    "output": output_perturbation,
    "sgd": _sgd,
}
"""How a private model is trained, by the name of the parameter ``method``."""

CLASSES_ASSUMPTION = "the classes, taken from the labels, were public before: no label is there because of a few rows"
"""What the guarantee rests on where the classes were not declared."""


class DPLogisticRegression(ClassifierMixin, BaseEstimator):
    """L2-regularised logistic regression that is (ε, δ)-private for adding or removing rows.

    Minimises Σ log(1 + e^(−t_i·z_i)) + (‖w‖² + b²)/(2C), z = x·w + b, or softmax cross-entropy for more than two
    classes, and releases it privately. Deleting up to ``group_size`` rows then needs no work: the model already is
    (ε, δ)-close to one trained without them. Guarantee: claims T14 ("output"), T15 ("objective") and T20 ("sgd").

    Parameters:
        method: "objective" trains with a random linear term, "output" adds noise to the minimiser, "sgd" takes noisy
            steps towards it (extra ``dp``).
        epsilon, delta: the guarantee.
        data_norm: R ≥ ‖x‖₂ for every row that could have been there, declared without looking at the data; longer rows
            are refused, nothing is clipped.
        C: inverse total L2 strength. Small C means less noise.
        fit_intercept: whether a constant feature 1 is added, penalised like the others; the norm is then √(R² + 1).
        classes: the labels, which are public; None takes those found in y, and so makes them public.
        group_size: rows of one person that are protected together.
        public_rows: for "sgd" alone, a limit on the number of rows fixed without counting them; batches, step sizes and
            normaliser follow from it. More rows are refused; far fewer cost accuracy and time. None takes the number of
            rows, which the guarantee then assumes to be public. The other methods do not depend on that number.
        random_state: None draws exact noise from the operating system; an integer seeds an idealised sampler for
            experiments (the guarantee says that T13 does not hold).

    Attributes:
        coef_: (1, d) for two classes, (K, d) for more: released weights.
        intercept_: (1,) or (K,).
        classes_: the labels.
        guarantee_: a `certified.dp.DPGuarantee`; ``guarantee_.epsilon(delta)`` is ε for another δ.
        n_features_in_: d.

    Example:
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.preprocessing import normalize
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = DPLogisticRegression(data_norm=1.0, C=0.1, classes=[0, 1]).fit(normalize(X), y)
        >>> model.guarantee_.epsilon(1e-6) <= 1.0
        True
    """

    def __init__(
        self,
        method: str = "objective",
        *,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        data_norm: float = 1.0,
        C: float = 1.0,
        fit_intercept: bool = True,
        classes: Sequence[Any] | None = None,
        group_size: int = 1,
        public_rows: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.method = method
        self.epsilon = epsilon
        self.delta = delta
        self.data_norm = data_norm
        self.C = C
        self.fit_intercept = fit_intercept
        self.classes = classes
        self.group_size = group_size
        self.public_rows = public_rows
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train on all rows and release once.

        Args:
            X: (n, d) features, no row longer than ``data_norm``.
            y: (n,) labels.

        Raises:
            ValueError, TypeError: an argument is invalid; the message names it and the remedy.
            MinimiserNotReachedError: the minimiser could not be certified; nothing was released.
        """
        held = dict(self.__dict__)
        try:
            return self._fit(X, y)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(held)
            raise

    def decision_function(self, X: Any) -> Array:
        """Return x·w + b: (n,) for two classes, (n, K) for more."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        scores = X @ self.coef_.T + self.intercept_
        return np.asarray(scores[:, 0] if len(self.classes_) == 2 else scores)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most likely class of each row."""
        scores = self.decision_function(X)
        winners = (scores > 0.0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes_[winners])

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities of `predict_proba`."""
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return np.asarray(-np.logaddexp(0.0, np.stack([scores, -scores], axis=1)))
        return np.asarray(scores - logsumexp(scores, axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> Array:
        """Return class probabilities (n, number of classes)."""
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def _fit(self, X: Any, y: Any) -> Self:
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}; got {self.method!r}")
        strength, limit = 1.0 / positive("C", self.C), positive("data_norm", self.data_norm)
        if not (1.0 / MAGNITUDE_LIMIT <= strength <= MAGNITUDE_LIMIT and limit <= MAGNITUDE_LIMIT):
            raise ValueError(f"C and data_norm must lie between {1.0 / MAGNITUDE_LIMIT:g} and {MAGNITUDE_LIMIT:g}")
        if not isinstance(self.fit_intercept, bool | np.bool_):
            raise TypeError(f"fit_intercept must be True or False; got {self.fit_intercept!r}")
        if self.public_rows is not None and self.method != "sgd":
            raise ValueError(
                f"public_rows is for method='sgd', whose batches follow from it: leave it out, as nothing that "
                f"method={self.method!r} does depends on the number of rows"
            )
        sampler, noise = self._sampler()
        X, y = self._validated(X, y)
        classes = self._classes(y)
        if np.max(norm_bounds(X), initial=0.0) > limit * (1.0 + TOLERANCE):
            raise ValueError(
                f"X holds a row longer than data_norm={limit:g}: scale the rows, or declare a larger data_norm without "
                "looking at them; nothing is clipped"
            )
        release = METHODS[self.method](
            self._objective(X, y, classes, strength),
            RowLimits(math.nextafter(math.hypot(limit, 1.0), math.inf) if self.fit_intercept else limit),
            positive("epsilon", self.epsilon),
            positive("delta", self.delta),
            group_size=self.group_size,
            sampler=sampler,
            noise=noise,
            **({"public_rows": self.public_rows} if self.method == "sgd" else {}),
        )
        return self._publish(release, classes)

    def _validated(self, X: Any, y: Any) -> tuple[Array, npt.NDArray[Any]]:
        X, y = without_rows(lambda: validate_data(self, X, y, dtype=np.float64), X, y)
        check_classification_targets(y)
        return X, column_or_1d(y)

    def _classes(self, y: npt.NDArray[Any]) -> tuple[Label, ...]:
        found = OneVsRest().classes(dict.fromkeys(y.tolist(), 1))
        if self.classes is not None and np.ndim(self.classes) != 1:
            raise TypeError("classes must be None or a flat sequence of labels, such as [0, 1]")
        declared = found if self.classes is None else tuple(np.asarray(self.classes).tolist())
        if len(set(declared)) != len(declared) or len(declared) < 2:
            raise ValueError(
                "classes must name at least two different labels; where y holds one class, declare the others"
            )
        if not set(found) <= set(declared):
            raise ValueError("y holds a label that classes does not name: declare every label that can occur")
        return OneVsRest().classes(dict.fromkeys(declared, 1))

    def _objective(self, X: Array, y: npt.NDArray[Any], classes: tuple[Label, ...], strength: float) -> Objective:
        loss: Loss = LOGISTIC if len(classes) == 2 else SOFTMAX
        encoding = OneVsRest() if len(classes) == 2 else OneHot()
        features = np.hstack([X, np.ones((len(X), 1))]) if self.fit_intercept else X
        rows = Rows.from_arrays(features, encoding.targets(y.tolist(), classes), np.ones(len(X)))
        return Objective(loss, rows, strength)

    def _sampler(self) -> tuple[Callable[[Array, float], Array], str]:
        """The noise, and what the guarantee calls it. A seed gives every draw a stream of its own."""
        if self.random_state is None:
            return release_gaussian, "rounded_gaussian"
        if isinstance(self.random_state, bool) or not isinstance(self.random_state, int | np.integer):
            raise TypeError("random_state must be None (exact noise from the operating system) or an integer seed")
        if self.random_state < 0:
            raise ValueError(f"random_state must not be negative; got {self.random_state!r}")
        seeds = np.random.SeedSequence(int(self.random_state)).generate_state(8, np.uint64).tolist()
        draws = iter(seeds)
        return lambda center, noise_std: idealized_gaussian(center, noise_std, next(draws)), "idealized_gaussian"

    def _publish(self, release: DPRelease, classes: tuple[Label, ...]) -> Self:
        weights, d = release.weights, self.n_features_in_
        self.coef_ = weights[:d].T.copy()
        self.intercept_ = weights[d].copy() if self.fit_intercept else np.zeros(weights.shape[1])
        self.classes_ = np.array(classes)
        guarantee = release.guarantee
        if self.classes is None:
            guarantee = replace(guarantee, assumptions=(*guarantee.assumptions, CLASSES_ASSUMPTION))
        self.guarantee_: DPGuarantee = guarantee
        return self
