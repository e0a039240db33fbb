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
    _forget_an_interrupt()
    sys.exit(code)


def _forget_an_interrupt() -> None:
    """Let this process end with its exit code, whatever an interrupt has cut short.

    One that cuts short code in a string, of which `dataclasses` and others make functions, is
    remembered by Python: caught or not, it then ends the process by SIGINT instead. The next code
    in a string lets it forget.
    """
    exec("")  # noqa: S102 - code of no one


if __name__ == "__main__":
    main()
