"""Phase 1a: what does a model find out about itself with nothing but its own measurements?

    python scripts/experiments/phase1a_no_heritage.py [FLAGS of `python -m engine.run run`]

The model is the one that AGI_MODEL_NAME names, at the precision of AGI_QUANTIZATION.
"""

import sys

from engine.cli.experiment import run_phase

if __name__ == "__main__":
    sys.exit(run_phase("1a", sys.argv[1:]))
