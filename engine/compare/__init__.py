"""Measures and comparisons of transcripts. Pure: events in, values out."""
