"""The record: canonical, complete, and unreadable once altered."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.certificates.certificate import SCHEMA, Certificate, CertificateFormatError

CERTIFICATE = Certificate(
    event="remove",
    epsilon=1.0,
    delta=1e-6,
    mu=0.1,
    mu_before=0.05,
    releases=2,
    distance_bound=1e-9,
    distance_target=2e-9,
    distance_claim="T2",
    gradient_residual=1e-10,
    rounding_error=5e-11,
    curvature=math.inf,
    noise_std=1e-8,
    noise="rounded_gaussian",
    loss="squared",
    self_concordance=0.0,
    derivative_limit=math.inf,
    curvature_limit=1.0,
    row_norm_bound=1.5,
    l2_scaling="total",
    l2_strength=0.1,
    alpha=0.1,
    fit_intercept=True,
    n_features=3,
    n_outputs=1,
    classes=(False, 1, 2.5, "drei"),
    remaining_count=10,
    removed_count=2,
    added_count=0,
    removed_total=2,
    features="dp",
    features_name="digits-cnn",
    features_digest="33" * 32,
    features_epsilon=0.5,
    features_delta=1e-7,
    full_epsilon=2.0,
    full_delta=2e-6,
    rows_commitment="00" * 32,
    salt="ab" * 16,
    released_commitment="11" * 32,
    weights_commitment="22" * 32,
    claims=("T2", "T3"),
    assumptions=("noise ∼ N(0, σ²)", 'a "quoted" text'),
    threat_model="observer",
    reference="retraining",
    issued_at="2025-01-01T00:00:00+00:00",
    library_version="0.1.0",
)
FIELDS = [field.name for field in dataclasses.fields(Certificate)]


def _sealed(fields: dict[str, Any]) -> str:
    """JSON text of any fields under a digest that fits them."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return json.dumps({**fields, "digest": hashlib.sha256(text.encode()).hexdigest()})


def _fields() -> dict[str, Any]:
    return {name: value for name, value in CERTIFICATE.to_dict().items() if name != "digest"}


@pytest.mark.parametrize("indent", [None, 2])
def test_json_keeps_every_field(indent: int | None) -> None:
    read = Certificate.from_json(CERTIFICATE.to_json(indent=indent))
    assert read == CERTIFICATE
    assert [type(v) for v in read.classes] == [bool, int, float, str]
    assert read.schema == SCHEMA


def test_canonical_json_is_canonical() -> None:
    text = CERTIFICATE.to_json()
    assert text == Certificate.from_json(CERTIFICATE.to_json(indent=4)).to_json()
    assert list(json.loads(text)) == sorted([*FIELDS, "digest"])
    assert ": " not in text.replace("σ", "") and "\n" not in text
    assert "Infinity" not in text and '"curvature":"inf"' in text


def test_the_digest_is_of_the_other_fields() -> None:
    assert json.loads(_sealed(_fields()))["digest"] == CERTIFICATE.to_dict()["digest"]


@given(st.floats(allow_nan=False), st.text(max_size=20), st.integers(0, 2**70))
def test_numbers_and_texts_survive(number: float, text: str, count: int) -> None:
    certificate = dataclasses.replace(CERTIFICATE, curvature=number, reference=text, remaining_count=count)
    try:
        written = certificate.to_json().encode()
    except UnicodeEncodeError:
        return
    read = Certificate.from_json(written.decode())
    assert read == certificate
    assert math.copysign(1.0, read.curvature) == math.copysign(1.0, number)


@pytest.mark.parametrize("name", FIELDS)
def test_an_altered_field_is_noticed(name: str) -> None:
    values = CERTIFICATE.to_dict()
    value = values[name]
    values[name] = not value if isinstance(value, bool) else [] if isinstance(value, list) else value * 2 or 1.0
    with pytest.raises(CertificateFormatError, match="schema" if name == "schema" else "altered"):
        Certificate.from_json(json.dumps(values))


@pytest.mark.parametrize("digest", [None, "", "0" * 64, 0])
def test_a_wrong_digest_is_noticed(digest: Any) -> None:
    with pytest.raises(CertificateFormatError, match="altered"):
        Certificate.from_dict({**CERTIFICATE.to_dict(), "digest": digest})


def test_a_missing_digest_is_noticed() -> None:
    with pytest.raises(CertificateFormatError, match="altered"):
        Certificate.from_dict(_fields())


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"schema"}))
def test_a_missing_field_is_named(name: str) -> None:
    fields = _fields()
    del fields[name]
    with pytest.raises(CertificateFormatError, match=f"missing or unknown fields: {name}$"):
        Certificate.from_json(_sealed(fields))


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(CertificateFormatError, match=r"missing or unknown fields: verdict$"):
        Certificate.from_json(_sealed({**_fields(), "verdict": "fine"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsilon", 1),
        ("epsilon", "1.0"),
        ("epsilon", None),
        ("epsilon", True),
        ("mu", "infinite"),
        ("releases", 2.0),
        ("releases", True),
        ("releases", "inf"),
        ("fit_intercept", 1),
        ("event", 1),
        ("classes", "ab"),
        ("classes", [None]),
        ("classes", [[1]]),
        ("claims", {"T2": 1}),
    ],
)
def test_an_ill_typed_field_is_named(name: str, value: Any) -> None:
    with pytest.raises(CertificateFormatError, match=f"'{name}' must be of type"):
        Certificate.from_json(_sealed({**_fields(), name: value}))


@pytest.mark.parametrize("text", ["", "{", "no json", "{]"])
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(CertificateFormatError, match="not JSON"):
        Certificate.from_json(text)


@pytest.mark.parametrize("text", ["[]", "1", "null", "{}", '{"schema": "certified-removal/2"}', '{"schema": 1}'])
def test_json_that_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(CertificateFormatError, match="not a record of schema"):
        Certificate.from_json(text)


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        dataclasses.replace(CERTIFICATE, epsilon=math.nan).to_json()


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    CERTIFICATE.save(path)
    assert Certificate.load(path) == Certificate.load(str(path)) == CERTIFICATE
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n") and "σ²" in text
    path.write_text(text.replace('"delta": 1e-06', '"delta": 1e-07'), encoding="utf-8")
    with pytest.raises(CertificateFormatError, match="altered"):
        Certificate.load(path)


def test_a_certificate_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CERTIFICATE.epsilon = 2.0  # type: ignore[misc]


def test_the_guarantee_in_words() -> None:
    text = str(dataclasses.replace(CERTIFICATE, features="given"))
    assert "2 rows out, 0 in, 10 remain" in text and "(1, 1e-06) for 2 release(s)" in text
    assert "1e-09 from exact retraining (T2)" in text and "σ = 1e-08" in text


def test_the_public_statement_holds_nothing_measured_and_nothing_of_the_rows() -> None:
    statement = CERTIFICATE.statement()
    assert statement.items() <= CERTIFICATE.to_dict().items()
    assert {"epsilon", "delta", "noise_std", "reference", "threat_model", "assumptions"} <= set(statement)
    measured = {"mu", "mu_before", "distance_bound", "gradient_residual", "rounding_error", "curvature"}
    private = {"row_norm_bound", "rows_commitment", "salt", "weights_commitment", "digest"}
    assert not (measured | private) & set(statement)
