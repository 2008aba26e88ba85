"""A training run: data, objective, optimizer, states, log, the loop."""
