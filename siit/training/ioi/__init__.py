"""Indirect Object Identification (Wang et al., arXiv 2211.00593): sentences, tokenizer, causal models and task."""
