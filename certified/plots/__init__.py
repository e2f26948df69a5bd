"""Pictures of certified deletions, on matplotlib (the ``plots`` extra); it is imported when a function draws.

Each ``plot_*`` function draws into ``ax``, or into a new figure of its own, and returns the axes. Figures are made
without pyplot, so nothing global changes and no window opens: save them with ``figure.savefig``.
"""

from certified.plots.canvas import CERTIFIED as CERTIFIED
from certified.plots.canvas import OTHERS as OTHERS
from certified.plots.canvas import TARGET as TARGET
from certified.plots.canvas import TRUTH as TRUTH
from certified.plots.canvas import compose as compose
from certified.plots.curves import plot_curves as plot_curves
from certified.plots.curves import plot_privacy_curve as plot_privacy_curve
from certified.plots.deletions import plot_accuracy as plot_accuracy
from certified.plots.deletions import plot_distances as plot_distances
from certified.plots.deletions import plot_release as plot_release
from certified.plots.deletions import plot_seconds as plot_seconds
