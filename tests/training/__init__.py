"""Tests of training, through the real Hydra configuration."""
