"""Privacy curves read back from their public constants: the same curve, or an error (claims T14, T15, T20)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from certified.accounting.mechanisms import SubsampledGaussian
from certified.certificates.record import CertificateFormatError, check_names, decode
from certified.dp.curve import Curve
from certified.dp.objective_curve import ObjectiveCurve
from certified.dp.output_curve import OutputCurve
from certified.dp.sampled import SampledCurve
from certified.privacy.objective_perturbation import PerturbedProblem

Built = TypeVar("Built")

_MAY_VANISH = ("distance", "truncation", "sampling_rate")


def read_curve(constants: dict[str, Any]) -> Curve:
    """Return the curve whose ``constants()`` these are, number for number.

    Raises:
        CertificateFormatError: a mechanism that this version does not know, missing, unknown or ill-typed constants, or
            numbers out of range.

    >>> curve = OutputCurve(gradient_bound=1.0, strength=2.0, distance=0.0, noise_std=3.0)
    >>> read_curve(curve.constants()) == curve
    True
    """
    kind = constants.get("kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise CertificateFormatError(f"a mechanism {kind!r} that this version does not know: update it")
    return reader({name: value for name, value in constants.items() if name != "kind"})


def _output(constants: dict[str, Any]) -> Curve:
    return _built(OutputCurve, constants)


def _objective(constants: dict[str, Any]) -> Curve:
    problem = decode("problem", "dict[str, Any]", constants.get("problem"))
    slopes: Any = decode("slopes", "str", problem.get("slopes"))
    return _built(ObjectiveCurve, constants, problem=_built(PerturbedProblem, problem, slopes=slopes))


def _sampled(constants: dict[str, Any]) -> Curve:
    phases = constants.get("phases")
    if not isinstance(phases, list):
        raise CertificateFormatError("field 'phases' must be a list")
    read = tuple(_built(SubsampledGaussian, decode("phases", "dict[str, Any]", phase)) for phase in phases)
    return _built(SampledCurve, constants, phases=read)


def _built(kind: Callable[..., Built], constants: dict[str, Any], **read: Any) -> Built:
    """A dataclass of constants, of which those in ``read`` were read already."""
    known = fields(kind)  # type: ignore[arg-type]
    check_names(constants, {f.name for f in known})
    plain = {f.name: decode(f.name, str(f.type), constants[f.name]) for f in known if f.name not in read}
    for f in known:
        value = plain.get(f.name)
        if isinstance(value, float) and not (0.0 < value < math.inf or (value == 0.0 and f.name in _MAY_VANISH)):
            raise CertificateFormatError(f"field {f.name!r} must be positive and finite")
        if f.name == "claims" and value != f.default:
            raise CertificateFormatError("claims are not those of the mechanism")
    try:
        return kind(**plain, **read)
    except (TypeError, ValueError) as error:
        raise CertificateFormatError(str(error)) from None


_READERS: dict[str, Callable[[dict[str, Any]], Curve]] = {
    "output perturbation": _output,
    "objective perturbation": _objective,
    "sampled Gaussian": _sampled,
}
