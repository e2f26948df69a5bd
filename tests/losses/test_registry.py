"""The names of the losses are the same here, where certificates are issued and where they are verified."""

from __future__ import annotations

from certified.certificates.issue import _LOSS_CLAIMS
from certified.losses import PROVED
from certified.losses.huberised_hinge import HINGE_WIDTHS
from certified.verification.losses import LOSSES
from certified.verification.record import LOSS_CLAIMS


def test_every_loss_has_its_own_name_and_claims_everywhere() -> None:
    assert len(PROVED) == 5 + len(HINGE_WIDTHS)
    assert set(PROVED) == set(_LOSS_CLAIMS) == set(LOSSES) == set(LOSS_CLAIMS)
    assert all(loss.name == name for name, loss in PROVED.items())
    assert all(set(_LOSS_CLAIMS[name]) == LOSS_CLAIMS[name] for name in PROVED)
