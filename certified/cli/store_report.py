"""``certified store report``: one page about a store, for an engineer, a data-protection officer and an auditor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certified.cli.output import JsonOption, announcing, print_json
from certified.cli.store_evidence import StoreArgument, open_store


def report(
    store: StoreArgument,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the page (HTML).")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Leave out everything measured: only what certificates let be published.")
    ] = False,
    earlier: Annotated[
        Path | None, typer.Option("--head", metavar="FILE", help="A head printed before by store head.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one page about a store: requests and their times, certificates, checks, what is guaranteed and what is not.

    The page loads nothing and runs no script: it can be mailed, archived and printed. It names nobody. Without
    --public it holds measured figures, which are evidence for auditors and not for publication.

    Exit status 0 written and verified, 1 written but the store is not verified, 2 wrong call.

    JSON: {"command", "store", "out", "ok", and the facts: "schema", "title", "name", "made", "library_version",
    "public", "checks", "head", "since", "deadline_days", "timing", "requests", "releases", "statement",
    "spent_epsilon", "best_test", "refusals", "traces", "clock_back"}.

    Example: certified store report risk.store --out report.html
    """
    if out is None and not as_json:
        raise ValueError("say where the page goes with --out report.html, or ask for --json")
    if out is not None and out.exists() and out.samefile(store):
        raise ValueError("--out is the store itself: name another file")
    from certified.ledger.chain import Head
    from certified.service.report import collect, to_html

    kept = None if earlier is None else Head.from_json(earlier.read_text(encoding="utf-8"))
    with open_store(store) as opened, announcing("writing the report"):
        facts = collect(opened, title=store.name, public=public, earlier=kept)
        if out is not None:
            out.write_text(to_html(facts), encoding="utf-8")
    if as_json:
        where = None if out is None else str(out)
        print_json({"command": "report", "store": str(store), "out": where, "ok": facts.checks.ok, **facts.to_dict()})
    else:
        failed = ", ".join(dict.fromkeys(check.name for check in facts.checks.failures))
        found = f"{store.name}: NOT verified ({failed})" if failed else f"{store.name}: verified"
        typer.echo(f"Wrote {out} ({'public' if public else 'full, not for publication'}).\n{found}")
    if not facts.checks.ok:
        raise typer.Exit(1)
