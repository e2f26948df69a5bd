"""``certified store``: deletion requests as a service, from the durable request to the certified release."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certified.cli import modelfile
from certified.cli.change import IdsFileOption, IdsOption, named_ids
from certified.cli.datafile import listed
from certified.cli.output import JsonOption, announcing, facts, print_json, print_rich

if TYPE_CHECKING:
    from certified.data.index import Id
    from certified.service.reports import Status
    from certified.service.store import DeletionStore

app = typer.Typer(
    no_args_is_help=True,
    help="Keep deletion requests and their model in one file: durable, in order, verifiable.",
    epilog="Commands may run at the same time, from any number of processes.",
)

StoreArgument = Annotated[
    Path, typer.Argument(metavar="STORE", help="Store file, as written by store init.", show_default=False)
]


@app.command()
def init(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A new file.", show_default=False)],
    model: Annotated[Path, typer.Option("--model", metavar="MODEL", help="Model to take over, as written by fit.")],
    deadline_days: Annotated[float, typer.Option(help="Days within which a request must be done.")] = 30.0,
    commit_rows: Annotated[
        bool, typer.Option("--commit-rows", help="Commit to the set of remaining rows in the log.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a store that takes MODEL over.

    The store holds rows and noise-free weights, readable by you alone. The secret file of MODEL is deleted once the
    store is on disk: a second copy would keep rows that the store deletes, and spend the same budget again. Copies
    and backups elsewhere are yours to clean.

    JSON: as for status, with "command": "init".

    Example: certified store init risk.store --model risk.model
    """
    with modelfile.staging(model), announcing("making the store"):
        from certified.estimators.persistence import secret_path
        from certified.service import DeletionStore

        with DeletionStore.init(
            store, modelfile.load(model), deadline_days=deadline_days, commit_rows=commit_rows
        ) as opened:
            secret_path(model).unlink()
            status = opened.status()
    _show("init", store, status, as_json=as_json)


@app.command()
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
    with _open(store) as opened:
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


@app.command()
def process(
    store: StoreArgument,
    lease_seconds: Annotated[
        float, typer.Option(help="After this time another process may start over, and this one's work is thrown away.")
    ] = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Carry out all pending requests in one release, and rewrite the file without the rows.

    One release for many requests spends less of the budget than one for each, and whoever compares the models before
    and after sees one difference of many rows. Let requests gather as long as their deadlines allow.

    JSON: {"command", "store", "outcome": {"requests", "compacted", "certificate"} or null if nothing was pending}.

    Example: certified store process risk.store
    """
    with _open(store) as opened, announcing("deleting"):
        outcome = opened.process(lease_seconds=lease_seconds)
    if as_json:
        done = None if outcome is None else outcome.to_dict()
        print_json({"command": "process", "store": str(store), "outcome": done})
        return
    if outcome is None:
        typer.echo("Nothing is pending.")
        return
    from certified.cli.request import guarantee

    numbers = ", ".join(str(number) for number in outcome.requests)
    traces = "none left" if outcome.compacted else "not yet: another process was in the way, run store compact"
    print_rich(facts(f"Requests done: {numbers}", {**guarantee(outcome.certificate), "traces": traces}))


@app.command()
def status(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Show what is pending and until when: request numbers, never names.

    JSON: {"command", "store", "pending": [{"number", "rows", "received", "due", "overdue"}], "done", "remaining",
    "releases", "processing", "compaction_due", "clock_back", "head", "overdue"}.

    Example: certified store status risk.store
    """
    with _open(store) as opened:
        found = opened.status()
    _show("status", store, found, as_json=as_json)


@app.command()
def log(
    store: StoreArgument,
    start: Annotated[int, typer.Option(help="Number of the first record to show.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Print the log: what happened, in order, names only as commitments.

    JSON: {"command", "store", "records": [{"number", "time", "clock_back", "kind", "content"}]}.

    Example: certified store log risk.store --start 10
    """
    with _open(store) as opened:
        records = opened.log(start)
    if as_json:
        fields = ("number", "time", "clock_back", "kind", "content")
        shown = [{name: getattr(record, name) for name in fields} for record in records]
        print_json({"command": "log", "store": str(store), "records": shown})
        return
    for record in records:
        typer.echo(f"{record.number:>6}  {record.instant}  {record.kind:<8}  {json.dumps(record.content)}")


@app.command()
def head(
    store: StoreArgument,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Sign with this Ed25519 private key (PEM).")] = None,
) -> None:
    """Print the head of the log as JSON; keep it where nobody who can write the store can change it.

    With it, store verify finds a log that was rewritten as a whole or put back from a backup. Signing needs the
    signing extra; openssl genpkey -algorithm ed25519 makes a key.

    JSON: {"schema", "store", "size", "digest", "signature"}; signature only with --key.

    Example: certified store head risk.store --key operator.pem > head.json
    """
    from certified.ledger.signing import sign

    with _open(store) as opened:
        exported = opened.export_head()
    signature = {} if key is None else {"signature": sign(exported, key.read_bytes())}
    print_json({**exported.to_dict(), **signature})


@app.command()
def verify(
    store: StoreArgument,
    earlier: Annotated[
        Path | None, typer.Option("--head", metavar="FILE", help="A head printed before by store head.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ed25519 public key (PEM) that must have signed the head.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the file, the chain, and that log, requests, certificates and model agree.

    Exit status 0 confirmed, 1 not confirmed, 2 wrong call. Without --head, a log that was rewritten as a whole or cut
    at its end cannot be told from an honest one.

    JSON: {"command", "store", "ok", "checks": [{"name", "passed", "detail"}]}.

    Example: certified store verify risk.store --head head.json --public-key operator.pub.pem
    """
    from certified.ledger.chain import Head
    from certified.ledger.signing import is_signed
    from certified.verification.report import Check, VerificationReport

    if public_key is not None and earlier is None:
        raise ValueError("--public-key needs --head: it says who signed it")
    text = None if earlier is None else earlier.read_text(encoding="utf-8")
    kept = None if text is None else Head.from_json(text)
    with _open(store) as opened, announcing("verifying"):
        report = opened.verify(kept)
    if kept is not None and text is not None and public_key is not None:
        signed = is_signed(kept, str(json.loads(text).get("signature", "")), public_key.read_bytes())
        check = Check("signature", signed, "of the owner of the key" if signed else "not by the owner of the key")
        report = VerificationReport((*report.checks, check))
    if as_json:
        print_json({"command": "verify", "store": str(store), **report.to_dict()})
    else:
        typer.echo("\n".join(str(check) for check in report.checks))
        typer.echo(f"{store.name}: {'confirmed' if report.ok else 'NOT confirmed'}")
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def compact(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Rewrite the file so that nothing deleted is left in it; process does so by itself unless others are reading.

    Exit status 0 done, 2 another process was in the way.

    JSON: {"command", "store", "compacted"}.

    Example: certified store compact risk.store
    """
    with _open(store) as opened, announcing("rewriting the file"):
        done = opened.compact()
    if not done:
        raise RuntimeError("another process was reading or writing: traces may be left, run store compact again")
    if as_json:
        print_json({"command": "compact", "store": str(store), "compacted": True})
    else:
        typer.echo("No trace of deleted rows is left in the store.")


@app.command()
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
    with _open(store) as opened:
        opened.publish(model)
        if certificate is not None:
            opened.certificate().save(certificate)
    if as_json:
        written = None if certificate is None else str(certificate)
        print_json({"command": "publish", "store": str(store), "model": str(model), "certificate_path": written})
    else:
        typer.echo(f"Wrote {model} (released weights).")


def _open(store: Path) -> DeletionStore:
    from certified.service import DeletionStore

    return DeletionStore.open(store)


def _name(store: DeletionStore, text: str, subject: bool) -> Id:
    """Read a name as the store has it: a whole number where a row is so named, text otherwise."""
    if re.fullmatch(r"0|-?[1-9][0-9]*", text):
        number, word = (store.is_in_force(name, subject=subject) for name in (int(text), text))
        if number and word:
            raise ValueError("a name given is both a number and a text in this store: request it from Python")
        if number:
            return int(text)
    return text


def _show(command: str, store: Path, status: Status, *, as_json: bool) -> None:
    if as_json:
        print_json({"command": command, "store": str(store), **status.to_dict()})
        return
    due = {
        f"request {request.number}": f"{request.rows} row(s), due {request.to_dict()['due']}"
        + (" OVERDUE" if request.overdue else "")
        for request in status.pending
    }
    warnings = {}
    if status.compaction_due:
        warnings["traces"] = "deleted rows may be left in the file: run store compact"
    if status.clock_back:
        warnings["clock"] = f"{status.clock_back:.0f} s behind the log: deadlines are off, set it right"
    counts = {
        "rows in force": str(status.remaining),
        "releases": str(status.releases),
        "requests done": str(status.done),
        "pending": str(len(status.pending)),
        "log": f"{status.head.size} records",
    }
    print_rich(facts(store.name, {**counts, **due, **warnings}))
