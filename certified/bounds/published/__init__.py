"""Published bounds for certified removal, one paper per file, registered in ``PUBLISHED`` (claims T7 to T7e).

What is missing, and why, is in docs/published-bounds.md.
"""

from certified.bounds.published.calculator import PUBLISHED as PUBLISHED
from certified.bounds.published.calculator import PublishedBound as PublishedBound
from certified.bounds.published.chien import langevin_renyi as langevin_renyi
from certified.bounds.published.chien import pnsgd_distance as pnsgd_distance
from certified.bounds.published.chien import pnsgd_renyi as pnsgd_renyi
from certified.bounds.published.guo import guo_batch as guo_batch
from certified.bounds.published.guo import guo_corollary as guo_corollary
from certified.bounds.published.guo import guo_noise_std as guo_noise_std
from certified.bounds.published.guo import guo_perturbed as guo_perturbed
from certified.bounds.published.guo import guo_single as guo_single
from certified.bounds.published.jackknife import jackknife_distance as jackknife_distance
from certified.bounds.published.neel import neel_distance as neel_distance
from certified.bounds.published.neel import neel_iterations as neel_iterations
from certified.bounds.published.neel import neel_noise_std as neel_noise_std
from certified.bounds.published.neel import neel_state_iterations as neel_state_iterations
from certified.bounds.published.neel import neel_state_noise_std as neel_state_noise_std
from certified.bounds.published.newton import LOGISTIC_THIRD_DERIVATIVE as LOGISTIC_THIRD_DERIVATIVE
from certified.bounds.published.newton import newton_elementwise as newton_elementwise
from certified.bounds.published.newton import newton_integral as newton_integral
from certified.bounds.published.newton import newton_rows as newton_rows
from certified.bounds.published.newton import newton_worst_case as newton_worst_case
from certified.bounds.published.sekhari import minimiser_shift as minimiser_shift
from certified.bounds.published.sekhari import newton_distance as newton_distance
from certified.bounds.published.sekhari import sekhari_distance as sekhari_distance
from certified.bounds.published.sekhari import sekhari_noise_std as sekhari_noise_std
