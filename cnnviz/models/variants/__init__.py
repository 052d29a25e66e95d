"""Published networks with another head or another number of input channels."""
