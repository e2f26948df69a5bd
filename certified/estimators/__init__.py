"""scikit-learn estimators with certified deletion."""

from certified.estimators.gamma import CertifiedGammaRegressor as CertifiedGammaRegressor
from certified.estimators.linear_svc import CertifiedLinearSVC as CertifiedLinearSVC
from certified.estimators.logistic import CertifiedLogisticRegression as CertifiedLogisticRegression
from certified.estimators.poisson import CertifiedPoissonRegressor as CertifiedPoissonRegressor
from certified.estimators.ridge import CertifiedRidge as CertifiedRidge
from certified.estimators.softmax import CertifiedSoftmaxRegression as CertifiedSoftmaxRegression
