"""A program that looks like vLLM from outside: command line, log, failures, API, processes."""
