"""`python -m ssgan`: the command line from a bare checkout."""

from ssgan.cli import main

main()
