"""Learning: recipes, networks, augmentation, distillation, and the loop that turns a recipe into weights."""
