from __future__ import annotations

from certified.dp import Demand, choose
from tests.cli.conftest import run

CHOICE = ("--n", "60000", "--dimension", "784", "--strength", "1e-3", "--deletions", "20", "--epsilon", "1")


def test_choice_is_that_of_the_library() -> None:
    demand = Demand(
        rows=60_000, dimension=784, strength=60.0, deletions=20, epsilon=1.0, delta=1e-6, tolerance=0.1,
        observer="before-and-after",
    )  # fmt: skip
    arguments = (*CHOICE, "--delta", "1e-6", "--tolerance", "0.1", "--observer", "before-and-after")
    found = run("dp", "choose", *arguments, "--json").json
    assert list(found) == ["command", "options", "claims"]
    for record, option in zip(found["options"], choose(demand), strict=True):
        expected = {name: "inf" if value == float("inf") else value for name, value in vars(option).items()}
        assert record == expected
    text = run("dp", "choose", *arguments).out
    assert "only differential privacy" in text and "output perturb" in text


def test_choice_refuses_in_words() -> None:
    result = run("dp", "choose", *CHOICE, "--delta", "1e-6", "--tolerance", "0")
    assert result.status == 2 and "tolerance must be positive" in result.err
