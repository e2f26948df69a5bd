"""Certificates: issuing, reading, committing to what they speak of."""
