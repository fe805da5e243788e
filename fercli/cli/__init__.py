"""The `fer` command: one short file per command, which parses options, calls the stage and prints the result."""
