"""Privacy curves, composition and release noise of the Gaussian mechanism (claims T3 and T13)."""

from certified.privacy.composition import compose_gaussian as compose_gaussian
from certified.privacy.composition import remaining_mu as remaining_mu
from certified.privacy.gaussian import gaussian_delta as gaussian_delta
from certified.privacy.gaussian import gaussian_epsilon as gaussian_epsilon
from certified.privacy.gaussian import gaussian_mu as gaussian_mu
from certified.privacy.gaussian import gaussian_noise_std as gaussian_noise_std
from certified.privacy.gaussian import gaussian_sensitivity as gaussian_sensitivity
from certified.privacy.noise import idealized_gaussian as idealized_gaussian
from certified.privacy.noise import release_gaussian as release_gaussian
