"""Fits a transformer to a plan: from the plan to the certified bundle."""
