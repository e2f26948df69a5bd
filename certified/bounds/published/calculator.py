"""The one wrapper of every published bound: checked scalars in, the safe side out, an entry in the registry.

A bound is written once as a plain formula. Called with real numbers it returns the smallest float64 not below the real
value (claim T12), called with Arb balls an enclosure, called with JAX scalars the plain value for planning and
derivatives, which is no bound. JAX is never imported here: a JAX scalar cannot exist before its owner has imported it.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from flint import arb

from certified.numerics.balls import exact, round_up, working_precision

Quantity = Literal["gradient residual", "distance", "noise_std", "iterations", "renyi divergence"]
Status = Literal["proved", "published", "re-derived"]
Requirement = tuple[str, Callable[..., bool]]
Formula = TypeVar("Formula", bound=Callable[..., Any])


@dataclass(frozen=True)
class Domain:
    """Which values an argument may take, and how to say so."""

    text: str
    holds: Callable[[Any], bool]
    whole: bool = False


Count = Annotated[Any, Domain("a whole number of at least 1", lambda x: x >= 1, whole=True)]
Tally = Annotated[Any, Domain("a whole number of at least 0", lambda x: x >= 0, whole=True)]
Positive = Annotated[Any, Domain("positive", lambda x: x > 0)]
Nonnegative = Annotated[Any, Domain("at least 0", lambda x: x >= 0)]
Probability = Annotated[Any, Domain("strictly between 0 and 1", lambda x: x > 0 and x < 1)]
Order = Annotated[Any, Domain("greater than 1", lambda x: x > 1)]


@dataclass(frozen=True)
class PublishedBound:
    """One published bound: what it bounds, in which convention, where it is from and how far it can be trusted.

    Attributes:
        name: the name of the function, and its key in ``PUBLISHED``.
        quantity: what is bounded from above.
        scaling: of the objective, "sum" or "mean" over the rows, or "none" where no objective is named.
        source: paper and place in it.
        year: of publication.
        claim: claim id of the proof, empty where the library proves nothing.
        status: "proved" (as published, and proved in ``proofs/``), "re-derived" (proved in ``proofs/`` with its own
            constants), "published" (transcribed and not proved here).
        errata: what a user must know about the publication, empty if nothing is known.
        arguments: names of the keyword arguments.
        calculate: the function itself.
    """

    name: str
    quantity: Quantity
    scaling: Literal["sum", "mean", "none"]
    source: str
    year: int
    claim: str
    status: Status
    errata: str
    arguments: tuple[str, ...]
    calculate: Callable[..., Any]


PUBLISHED: dict[str, PublishedBound] = {}
"""Every bound of ``certified.bounds.published`` by name, in the order of definition."""


def published(
    *,
    quantity: Quantity,
    scaling: Literal["sum", "mean", "none"],
    source: str,
    year: int,
    claim: str,
    status: Status,
    errata: str = "",
    requires: tuple[Requirement, ...] = (),
) -> Callable[[Formula], Callable[..., Any]]:
    """Make a calculator of a formula with keyword arguments annotated by their domains, and register it.

    ``requires`` lists conditions that tie arguments together: what to say, and a predicate on all arguments as balls.
    """

    def decorate(formula: Formula) -> Callable[..., Any]:
        name = formula.__name__
        hints = get_type_hints(formula, include_extras=True)
        names = tuple(inspect.signature(formula).parameters)
        domains = {argument: hints[argument].__metadata__[0] for argument in names}

        @functools.wraps(formula)
        def calculate(**arguments: Any) -> Any:
            _check_names(name, names, arguments)
            if any(_is_jax(value) for value in arguments.values()):
                return formula(**{key: _jax_scalar(key, value) for key, value in arguments.items()})
            balls = {key: _ball(key, arguments[key], domains[key]) for key in names}
            with working_precision(256):
                for text, holds in requires:
                    if not holds(**balls):
                        raise ValueError(f"{text}; see the arguments of {name}")
            if any(isinstance(value, arb) for value in arguments.values()):
                return formula(**balls)
            return round_up(lambda: formula(**balls))

        PUBLISHED[name] = PublishedBound(name, quantity, scaling, source, year, claim, status, errata, names, calculate)
        return calculate

    return decorate


def _check_names(name: str, names: tuple[str, ...], arguments: Mapping[str, Any]) -> None:
    missing = [key for key in names if key not in arguments]
    unknown = [key for key in arguments if key not in names]
    if missing or unknown:
        problems = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has no {', '.join(unknown)}"] * bool(unknown)
        raise TypeError(f"{name} {' and '.join(problems)}; its keyword arguments are {', '.join(names)}")


def _is_jax(value: object) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def _jax_scalar(key: str, value: Any) -> Any:
    if _is_jax(value):
        if value.shape != ():
            raise ValueError(f"{key} must be a scalar, got shape {value.shape}; use jax.vmap for many values")
        return value
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"{key} must be a real number or JAX scalar beside JAX scalars, got {type(value).__name__}")


def _ball(key: str, value: Any, domain: Domain) -> arb:
    if isinstance(value, arb):
        if not (value.is_finite() and domain.holds(value)):
            raise ValueError(f"{key} must be {domain.text} for all numbers in the ball; pass a narrower or other ball")
        return value
    if not isinstance(value, Real):
        raise TypeError(f"{key} must be a real number, got {type(value).__name__}; pass a float, ball or JAX scalar")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{key} exceeds every float64 number; pass a smaller one") from None
    if not (math.isfinite(number) and domain.holds(number) and (number.is_integer() or not domain.whole)):
        raise ValueError(f"{key} must be {domain.text}, got {number!r}; pass such a value")
    if number != value:
        raise ValueError(f"{key} must be a float64 number, got {value!r}; round it to the safe side first")
    return exact(number)
