"""Phase 1d: documents after the conclusions, which are then revised.

    python scripts/experiments/phase1d_delayed_heritage.py [FLAGS of `python -m engine.run run`]

The model is the one that AGI_MODEL_NAME names, at the precision of AGI_QUANTIZATION.
"""

import sys

from engine.cli.experiment import run_phase

if __name__ == "__main__":
    sys.exit(run_phase("1d", sys.argv[1:]))
