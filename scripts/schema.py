"""The schema of model_comparison.json, as it ships.

python scripts/schema.py              compare with engine/report; exit 1 where it differs
python scripts/schema.py --rewrite    write it anew: read the difference before it is committed
"""

import argparse
import sys
from pathlib import Path

import msgspec

from engine.report.schema import model_comparison_schema

SHIPPED = Path(__file__).parents[1] / "engine" / "report" / "model_comparison.schema.json"


def rendered() -> bytes:
    """Return the schema as it is written."""
    return msgspec.json.format(msgspec.json.encode(model_comparison_schema()), indent=2) + b"\n"


def main() -> int:
    """Compare or rewrite; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rewrite", action="store_true", help="write it anew")
    if parser.parse_args().rewrite:
        SHIPPED.write_bytes(rendered())
    if SHIPPED.exists() and SHIPPED.read_bytes() == rendered():
        return 0
    print(f"{SHIPPED.name} is not what the values say; --rewrite it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
