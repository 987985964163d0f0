"""`python -m eval.cockpit run=DIR`: a person shares control with an assistant, live, in the browser."""
