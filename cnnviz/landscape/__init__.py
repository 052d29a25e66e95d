"""Loss landscapes: slices through the loss of a network as a function of its weights."""
