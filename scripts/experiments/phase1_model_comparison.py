"""The comparison: two models at the same time on the same prompts and seeds.

    python scripts/experiments/phase1_model_comparison.py [FLAGS of `python -m engine.run compare`]

AGI_MODEL_NAME is ignored, and that is said; AGI_QUANTIZATION holds for both models.
"""

import sys

from engine.cli.experiment import run_comparison

if __name__ == "__main__":
    sys.exit(run_comparison(sys.argv[1:]))
