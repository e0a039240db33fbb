"""The experimental conditions, as data: one folder per phase, `phase.toml` and its prompts."""
