"""Evaluates methods that locate variables on models whose alignment is known: MIB's second track."""
