"""Networks that are a chain of layers, described by their name: `chain:1x28x28-conv6k5p2-relu-max2-…`."""
