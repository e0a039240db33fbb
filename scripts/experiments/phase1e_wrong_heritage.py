"""Phase 1e: documents about another subject, from the start.

    python scripts/experiments/phase1e_wrong_heritage.py [FLAGS of `python -m engine.run run`]

The model is the one that AGI_MODEL_NAME names, at the precision of AGI_QUANTIZATION.
"""

import sys

from engine.cli.experiment import run_phase

if __name__ == "__main__":
    sys.exit(run_phase("1e", sys.argv[1:]))
