"""The program in the probe's process, for any Python with torch, transformers and msgspec."""
