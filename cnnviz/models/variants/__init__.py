"""Networks of the catalogue with another head, other input channels, activations, norms or dropout."""
