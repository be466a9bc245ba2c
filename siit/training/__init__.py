"""Training by Strict Interchange Intervention Training (arXiv 2407.14494), with Lightning."""
