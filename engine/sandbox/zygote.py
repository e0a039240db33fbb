"""The program that forks workers: started fresh, told nothing, holding nothing but imports.

Run as `python -P -s -S zygote.py FD PATHS WITHOUT`: FD is the control channel, PATHS (JSON) where
engine, msgspec and numpy are found, WITHOUT (JSON) the walls that are not to be put up. One thread,
so that every fork is clean. It ends with the control channel, and its workers end with it.
"""

import json
import os
import sys


def main() -> None:
    """Import everything that workers may need, then fork on request."""
    control_fd = int(sys.argv[1])
    sys.path.extend(json.loads(sys.argv[2]))
    from engine.sandbox.nursery import serve

    serve(control_fd, without=frozenset(json.loads(sys.argv[3])))


if __name__ == "__main__":
    main()
    os._exit(0)
