"""``certified dp``: private training, deletions from it, what it promises, and whether to choose it."""

from __future__ import annotations

import typer

from certified.cli import choose, dp_account, dp_delete, dp_fit

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def dp() -> None:
    """Train with differential privacy, certify deletions from such models, and account for them.

    fit and delete are for a model whose deletions cost nothing. The others account for DP-SGD by upper bounds that hold
    after rounding: steps take each row with the sampling rate by itself (Poisson sampling), clip what it contributes
    and add Gaussian noise. Shuffled or fixed-size batches are not covered.

    Example: certified dp epsilon --noise-multiplier 1 --sampling-rate 0.01 --steps 1000 --delta 1e-5
    """


app.command("fit")(dp_fit.fit)
app.command("delete")(dp_delete.delete)
app.command("epsilon")(dp_account.epsilon)
app.command("delta")(dp_account.delta)
app.command("calibrate")(dp_account.calibrate)
app.command("group")(dp_account.group)
app.command("choose")(choose.choose)
