"""Holds what makes a benchmark of many models: which cases, how each ended, and one report of them all."""
