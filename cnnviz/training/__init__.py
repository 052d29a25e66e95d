"""Training: recipes, augmentation, the loop, and checkpoints that survive a kill."""
