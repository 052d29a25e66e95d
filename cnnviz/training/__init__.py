"""Training networks of one's own: recipes, whole-batch augmentation, a loop that survives kill -9."""
