"""Trains the models of a suite as one sweep of Hydra's, and shows how far they are."""
