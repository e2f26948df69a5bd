"""Removal mechanisms: pure functions from a state and a change of rows to a new state and a distance bound."""

from certified.removal.newton import TargetNotReachedError as TargetNotReachedError
from certified.removal.newton import initialise as initialise
from certified.removal.newton import update as update
from certified.removal.state import RemovalState as RemovalState
from certified.removal.state import UpdateInfo as UpdateInfo
