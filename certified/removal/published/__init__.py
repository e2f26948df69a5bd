"""Mechanisms from the literature, faithful to their publications and labelled with what is wrong with them."""
