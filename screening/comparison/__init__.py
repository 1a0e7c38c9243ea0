"""Two checkpoints side by side: what changes for the scans that both have screened."""
