"""``python -m orchestration``: the command line, for jobs on a cluster."""

from orchestration.cli import main

if __name__ == "__main__":
    main()
