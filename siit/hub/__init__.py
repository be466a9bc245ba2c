"""Bundles on the Hugging Face Hub, through its own client: downloading, publishing, and what can go wrong."""

from siit.hub.errors import HubError

__all__ = ["HubError"]
