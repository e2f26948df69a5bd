"""``certified store status``, ``log``, ``head`` and ``verify``: what a store can show, without changing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certified.cli.output import JsonOption, announcing, facts, print_json, print_rich

if TYPE_CHECKING:
    from certified.service.reports import Status
    from certified.service.store import DeletionStore

StoreArgument = Annotated[
    Path, typer.Argument(metavar="STORE", help="Store file, as written by store init.", show_default=False)
]


def status(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Show what is pending and until when: request numbers, never names.

    JSON: {"command", "store", "pending": [{"number", "rows", "received", "due", "overdue"}], "done", "remaining",
    "releases", "release_due", "processing", "compaction_due", "clock_back", "head", "overdue"}.

    Example: certified store status risk.store
    """
    with open_store(store) as opened:
        found = opened.status()
    show_status("status", store, found, as_json=as_json)


def log(
    store: StoreArgument,
    start: Annotated[int, typer.Option(help="Number of the first record to show.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Print the log: what happened, in order, names only as commitments.

    JSON: {"command", "store", "records": [{"number", "time", "clock_back", "kind", "content"}]}.

    Example: certified store log risk.store --start 10
    """
    with open_store(store) as opened:
        records = opened.log(start)
    if as_json:
        fields = ("number", "time", "clock_back", "kind", "content")
        shown = [{name: getattr(record, name) for name in fields} for record in records]
        print_json({"command": "log", "store": str(store), "records": shown})
        return
    for record in records:
        typer.echo(f"{record.number:>6}  {record.instant}  {record.kind:<8}  {json.dumps(record.content)}")


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

    with open_store(store) as opened:
        exported = opened.export_head()
    signature = {} if key is None else {"signature": sign(exported, key.read_bytes())}
    print_json({**exported.to_dict(), **signature})


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
    with open_store(store) as opened, announcing("verifying"):
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


def open_store(store: Path) -> DeletionStore:
    """Open the store that a command was given."""
    from certified.service import DeletionStore

    return DeletionStore.open(store)


def show_status(command: str, store: Path, status: Status, *, as_json: bool) -> None:
    """Print a status, in words or as JSON."""
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
        **({} if status.release_due is None else {"release due": str(status.to_dict()["release_due"])}),
        "log": f"{status.head.size} records",
    }
    print_rich(facts(store.name, {**counts, **due, **warnings}))
