"""Reading: verdicts, holds, the random sample, and the checkpoint as its readers measure it."""
