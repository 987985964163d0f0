"""Networks: who turns (x, known, context) into one-dimensional conditionals."""
