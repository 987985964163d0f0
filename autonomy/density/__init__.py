"""Conditional densities p(x_query | x_evidence, context) for arbitrary subsets. Knows nothing of robots."""
