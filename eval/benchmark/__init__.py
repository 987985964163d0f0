"""`python -m eval.benchmark`: trained assistants against each other on paired episodes."""
