"""`python -m fercli` runs `fer`."""

from fercli.cli.main import main

main()
