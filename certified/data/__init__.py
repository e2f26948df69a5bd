"""Training rows, their ids, and real data sets to try the library on."""

from certified.data.loaders import load_adult as load_adult
from certified.data.loaders import load_breast_cancer as load_breast_cancer
from certified.data.loaders import load_digits as load_digits
from certified.data.loaders import load_mnist as load_mnist
from certified.data.loaders import load_mnist_3_vs_8 as load_mnist_3_vs_8
from certified.data.loaders import load_sst2 as load_sst2
from certified.data.loaders import load_sst2_sentences as load_sst2_sentences
from certified.data.registry import available as available
