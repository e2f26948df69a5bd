"""Certified bounds on the distance between given weights and the exact minimiser."""

from certified.bounds.curvature import Linearisation as Linearisation
from certified.bounds.curvature import linearise as linearise
from certified.bounds.distance import DistanceBound as DistanceBound
from certified.bounds.distance import certify_distance as certify_distance
