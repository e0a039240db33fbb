"""The embedded default: llama.cpp's own server, one process per model, with the tiny models."""
