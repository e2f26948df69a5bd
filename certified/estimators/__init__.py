"""scikit-learn estimators with certified deletion."""

from certified.estimators.logistic import CertifiedLogisticRegression as CertifiedLogisticRegression
from certified.estimators.ridge import CertifiedRidge as CertifiedRidge
