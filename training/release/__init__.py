"""Release: from trained weights to the bundle that is served, with figures measured on the very forms in it."""
