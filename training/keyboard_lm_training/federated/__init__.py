"""Rounds of federated learning: what leaves a writer's device is a clipped update, and a ledger says what it cost."""
