"""The `fer` command: one short file a command; each parses, builds the stage's config, calls the stage, and prints."""
