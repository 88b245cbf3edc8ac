"""`python -m hedgerow_cli` is the `hedgerow` command; parts of the demo are started so."""

from hedgerow_cli.main import main

main()
