"""Exact minimisation of the objective to the floor of float64."""

from certified.solvers.newton import Solution as Solution
from certified.solvers.newton import solve as solve
