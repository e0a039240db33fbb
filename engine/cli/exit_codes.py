"""The exit codes of the program: stable, for scripts depend on them."""

DONE = 0
FAILED = 1
"""The run failed, or infrastructure ended every investigation."""
USAGE = 2
NOT_READY = 3
"""The machine or an endpoint is not ready for what was asked."""
PARTIAL = 4
"""Infrastructure ended some investigations; the run can be resumed."""
INTERRUPTED = 130
