"""What is written about a run, from its directory alone."""
