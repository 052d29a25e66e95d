"""Rebuild a network that no catalogue has from the shapes of its tensors."""
