"""`python -m ssgan`: the command line from a bare checkout."""

from ssgan.cli import main

if __name__ == "__main__":  # and not where a process begins that imports its parent's main module
    main()
