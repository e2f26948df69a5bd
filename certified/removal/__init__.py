"""Removal mechanisms: pure functions from a state and a change of rows to a new state and a distance bound."""

from certified.removal.ledger_state import LedgerState as LedgerState
from certified.removal.ledger_state import open_at as open_at
from certified.removal.ledger_state import settled as settled
from certified.removal.ledger_step import initialise as initialise
from certified.removal.ledger_step import update as update
from certified.removal.newton import TargetNotReachedError as TargetNotReachedError
from certified.removal.state import RemovalState as RemovalState
from certified.removal.state import UpdateInfo as UpdateInfo
