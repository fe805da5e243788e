"""`python -m fercli` is `fer`."""

from fercli.cli.main import main

main()
