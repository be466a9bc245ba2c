"""The configuration: what Hydra composes from conf/, checked and typed."""
