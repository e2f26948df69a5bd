"""``certified store``: deletion requests as a service, from the durable request to the certified release."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certified.cli import modelfile, store_evidence, store_report
from certified.cli.change import IdsFileOption, IdsOption, named_ids
from certified.cli.datafile import Columns, IdOption, SubjectOption, TargetOption, WeightOption, listed, read_for
from certified.cli.output import JsonOption, announcing, facts, print_json, print_rich
from certified.cli.store_evidence import StoreArgument, open_store, show_status

if TYPE_CHECKING:
    from certified.data.index import Id
    from certified.estimators.base import CertifiedEstimator
    from certified.service.releases import Holdout
    from certified.service.store import DeletionStore

app = typer.Typer(
    no_args_is_help=True,
    help="Keep deletion requests and their model in one file: durable, in order, verifiable.",
    epilog="Commands may run at the same time, from any number of processes.",
)

HoldoutOption = Annotated[
    Path | None,
    typer.Option("--holdout", metavar="DATA", help="Rows that took no part in training: score the release on them."),
]


def init(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A new file.", show_default=False)],
    model: Annotated[Path, typer.Option("--model", metavar="MODEL", help="Model to take over, as written by fit.")],
    deadline_days: Annotated[float, typer.Option(help="Days within which a request must be done.")] = 30.0,
    batch_days: Annotated[
        float,
        typer.Option(help="Days for which requests gather, from the first on, before they are done together."),
    ] = 0.0,
    commit_rows: Annotated[
        bool, typer.Option("--commit-rows", help="Commit to the set of remaining rows in the log.")
    ] = False,
    holdout: HoldoutOption = None,
    target: TargetOption = None,
    id_column: IdOption = None,
    subject: SubjectOption = None,
    weight: WeightOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a store that takes MODEL over.

    The store holds rows and noise-free weights, readable by you alone. The secret file of MODEL is deleted once the
    store is on disk: a second copy would keep rows that the store deletes, and spend the same budget again. Copies
    and backups elsewhere are yours to clean. With --holdout DATA (and its columns) the score of the release enters the
    log, and the report shows how it develops.

    JSON: as for status, with "command": "init".

    Example: certified store init risk.store --model risk.model
    """
    model = modelfile.located(model)
    with modelfile.staging(model), announcing("making the store"):
        from certified.estimators.saved_model import secret_path
        from certified.service import DeletionStore

        estimator = modelfile.load(model)
        with DeletionStore.init(
            store,
            estimator,
            deadline_days=deadline_days,
            batch_days=batch_days,
            commit_rows=commit_rows,
            holdout=_holdout(lambda: estimator, holdout, Columns(target or (), id_column, subject, weight)),
        ) as opened:
            secret_path(model).unlink()
            status = opened.status()
    show_status("init", store, status, as_json=as_json)


def request(
    store: StoreArgument,
    ids: IdsOption = None,
    ids_file: IdsFileOption = None,
    subjects: Annotated[str | None, typer.Option(metavar="A,B,…", help="Every row of these subjects.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Record that rows must be deleted. The request is on disk when this prints its number.

    Keep the receipt for whoever asked: its nonce shows later what the log recorded, and is stored nowhere else.

    JSON: {"command", "store", "request", "rows", "due", "commitment", "nonce", "head"}.

    Example: certified store request risk.store --subjects P17
    """
    given = {"ids": ids, "ids-file": ids_file, "subjects": subjects}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        options = ", ".join(f"--{name}" for name in given)
        raise ValueError(f"give exactly one of {options}; got {', '.join(f'--{c}' for c in chosen) or 'none'}")
    with open_store(store) as opened:
        if subjects is not None:
            receipt = opened.request_removal(subjects=[_name(opened, text, True) for text in listed(subjects)])
        else:
            receipt = opened.request_removal([_name(opened, text, False) for text in named_ids(ids, ids_file)])
    record = receipt.to_dict()
    if as_json:
        print_json({"command": "request", "store": str(store), **record})
        return
    kept = {name: str(record[name]) for name in ("rows", "due", "commitment", "nonce")}
    print_rich(facts(f"Request {receipt.request} recorded", kept))


def process(
    store: StoreArgument,
    early: Annotated[bool, typer.Option("--early", help="Do not wait for the batch window to end.")] = False,
    rewrite: Annotated[
        bool,
        typer.Option("--compact/--no-compact", help="Rewrite the file, so that no trace is left in it."),
    ] = True,
    holdout: HoldoutOption = None,
    target: TargetOption = None,
    id_column: IdOption = None,
    subject: SubjectOption = None,
    weight: WeightOption = None,
    lease_seconds: Annotated[
        float, typer.Option(help="After this time another process may start over, and this one's work is thrown away.")
    ] = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Carry out all pending requests in one release, and rewrite the file without the rows.

    One release for many requests spends less of the budget than one for each, and whoever compares the models before
    and after sees one difference of many rows. Let requests gather as long as their deadlines allow: with a batch
    window (store init --batch-days) this command waits for its end, so a timer may call it as often as it likes.

    JSON: {"command", "store", "outcome": {"requests", "compacted", "certificate"} or null if nothing was due,
    "release_due": when what is pending will be}.

    Example: certified store process risk.store
    """
    with open_store(store) as opened, announcing("deleting"):
        columns = Columns(target or (), id_column, subject, weight)
        scored_on = _holdout(opened.published_model, holdout, columns)
        outcome = opened.process(early=early, compact=rewrite, holdout=scored_on, lease_seconds=lease_seconds)
        waiting = opened.status()
    due = waiting.to_dict()["release_due"]
    if as_json:
        done = None if outcome is None else outcome.to_dict()
        print_json({"command": "process", "store": str(store), "outcome": done, "release_due": due})
        return
    if outcome is None:
        gather = f"{len(waiting.pending)} request(s) gather until {due}: --early carries them out now."
        typer.echo(gather if waiting.pending else "Nothing is pending.")
        return
    from certified.cli.request import guarantee

    numbers = ", ".join(str(number) for number in outcome.requests)
    traces = "none left" if outcome.compacted else "may be left until store compact"
    print_rich(facts(f"Requests done: {numbers}", {**guarantee(outcome.certificate), "traces": traces}))


def compact(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Rewrite the file so that nothing deleted is left in it; process does so by itself unless others are reading.

    Exit status 0 done, 2 another process was in the way.

    JSON: {"command", "store", "compacted"}.

    Example: certified store compact risk.store
    """
    with open_store(store) as opened, announcing("rewriting the file"):
        done = opened.compact()
    if not done:
        raise RuntimeError("another process was reading or writing: traces may be left, run store compact again")
    if as_json:
        print_json({"command": "compact", "store": str(store), "compacted": True})
    else:
        typer.echo("No trace of deleted rows is left in the store.")


def publish(
    store: StoreArgument,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Where to write the public model.")],
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the certificate of the release, for auditors.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the last release as a model file that predicts. The same numbers each time: this costs no budget.

    JSON: {"command", "store", "model", "certificate_path"}.

    Example: certified store publish risk.store risk.model
    """
    with open_store(store) as opened:
        opened.publish(model)
        if certificate is not None:
            opened.certificate().save(certificate)
    if as_json:
        written = None if certificate is None else str(certificate)
        print_json({"command": "publish", "store": str(store), "model": str(model), "certificate_path": written})
    else:
        typer.echo(f"Wrote {model} (released weights).")


def _holdout(estimator: Callable[[], CertifiedEstimator], data: Path | None, columns: Columns) -> Holdout | None:
    if data is None:
        if columns:
            raise ValueError("--target and the other columns describe the rows of --holdout: give that too")
        return None
    rows = read_for(estimator(), data, columns)
    return rows.X, rows.y


def _name(store: DeletionStore, text: str, subject: bool) -> Id:
    """Read a name as the store has it: a whole number where a row is so named, text otherwise."""
    if re.fullmatch(r"0|-?[1-9][0-9]*", text):
        number, word = (store.is_in_force(name, subject=subject) for name in (int(text), text))
        if number and word:
            raise ValueError("a name given is both a number and a text in this store: request it from Python")
        if number:
            return int(text)
    return text


for command in (
    *(init, request, process, store_evidence.status, store_evidence.log, store_evidence.head),
    *(store_evidence.verify, store_report.report, compact, publish),
):
    app.command()(command)
