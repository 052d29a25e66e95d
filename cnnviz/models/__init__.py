"""Networks: the registry of architectures, safe loading of weights, and the loaded model."""
