"""Directed rounding, ball arithmetic and error bounds: the ground on which every certificate stands."""
