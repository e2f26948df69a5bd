"""Print what a user reads after a wrong input, as a Markdown table: ``python -m benchmarks.bad_input``."""

from __future__ import annotations

from collections.abc import Iterator

from tests.estimators.bad_input_cases import LOGISTIC, RIDGE, logistic, ridge


def answers() -> Iterator[tuple[str, str, str]]:
    """The estimator, the wrong input, and the error it leads to."""
    for model, cases in ((logistic(), LOGISTIC), (ridge(), RIDGE)):
        for name, case in cases.items():
            try:
                case.request(model)
            except Exception as error:
                text = " ".join(str(error).split()).replace("|", "\\|")
                yield type(model).__name__, name, f"{type(error).__name__}: {text}"
            else:
                raise AssertionError(f"{name} was accepted")


def main() -> None:
    """Print the table."""
    print("| estimator | input | error |\n|---|---|---|")
    for row in answers():
        print("| {} | {} | {} |".format(*row))


if __name__ == "__main__":
    main()
