"""Models and circuits in the forms that other tools take: TransformerLens, ACDC, EAP-IG, NetworkX, PyTorch datasets."""
