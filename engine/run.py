"""`python -m engine.run`: the entry, and nothing but the entry."""

import sys

from engine.cli.exit_codes import INTERRUPTED


def main() -> None:
    """Run the command line of this process and exit with its code."""
    try:
        from engine.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are imported
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
