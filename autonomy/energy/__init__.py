"""Energies E(context, action): their network, their training and their minimisation. Knows nothing of robots."""
