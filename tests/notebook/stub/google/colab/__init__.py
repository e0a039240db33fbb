"""A stand-in for what Colab brings along."""
