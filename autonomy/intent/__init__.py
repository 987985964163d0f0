"""What the operator is after: labels of demonstrations, and a belief over them that follows what the operator does."""
