"""Phase 1a as research: the model works like a researcher, with findings that are required.

    python scripts/experiments/phase1a_research_driven.py [FLAGS of `python -m engine.run run`]

The model is the one that AGI_MODEL_NAME names, at the precision of AGI_QUANTIZATION.
"""

import sys

from engine.cli.experiment import run_phase

if __name__ == "__main__":
    sys.exit(run_phase("1a-research", sys.argv[1:]))
