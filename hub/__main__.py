"""`python -m hub`."""

from hub.cli.main import main

main()
