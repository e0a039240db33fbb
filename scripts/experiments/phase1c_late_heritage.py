"""Phase 1c: documents that others left, only after measuring.

    python scripts/experiments/phase1c_late_heritage.py [FLAGS of `python -m engine.run run`]

The model is the one that AGI_MODEL_NAME names, at the precision of AGI_QUANTIZATION.
"""

import sys

from engine.cli.experiment import run_phase

if __name__ == "__main__":
    sys.exit(run_phase("1c", sys.argv[1:]))
