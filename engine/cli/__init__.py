"""The command line: one module per subcommand. The composition root of the program."""
