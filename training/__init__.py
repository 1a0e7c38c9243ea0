"""Training: from a labelled folder of radiographs to a checkpoint bundle that the screening side serves."""
