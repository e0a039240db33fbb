"""What a run leaves for other programs: one module per format, all fed from one redacted stream."""
