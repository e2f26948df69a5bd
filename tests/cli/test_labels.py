from __future__ import annotations

import pytest

from certified.cli.labels import as_labels, read_label, read_name


@pytest.mark.parametrize(
    ("text", "label"), [("1", 1), ("1.0", 1), ("-2e0", -2), ("1.5", "1.5"), ("inf", "inf"), ("nan", "nan"), ("", "")]
)
def test_a_label_is_a_whole_number_or_text(text: str, label: object) -> None:
    assert read_label(text) == label and type(read_label(text)) is type(label)


def test_what_is_no_text_stays_as_it_is() -> None:
    assert (read_name(True), read_label(2.5), read_name("1.0")) == (True, 2.5, "1.0")


@pytest.mark.parametrize(
    ("values", "message"),
    [([1, "1.5", 2], "holds fractions"), (["0.5", "1e-3"], "holds fractions"), ([1, "a"], "mixes")],
)
def test_fractions_and_mixtures_are_no_labels(values: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_labels(values)


@pytest.mark.parametrize("values", [["a", "1.5"], [1, 2], ["inf", "nan"], []])
def test_words_and_numbers_are_labels(values: list[object]) -> None:
    assert as_labels(values).tolist() == values
