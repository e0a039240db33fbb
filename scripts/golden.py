"""Golden command lines: one file per hardware profile, one entry per preset.

python scripts/golden.py              compare with tests/golden/argv; exit 1 where they differ
python scripts/golden.py --rewrite    write them anew: read the difference before it is committed
"""

import argparse
import sys
from difflib import unified_diff
from pathlib import Path

import msgspec

from servers.command import FIRST_PORT, argv, variables
from servers.fit import LaunchPlan, Request, fit
from servers.hardware import PROFILES, HardwareProfile
from servers.model import ModelPreset
from servers.presets import PRESETS

GOLDEN = Path(__file__).parent.parent / "tests" / "golden" / "argv"
PAIR = ("qwen2.5-3b", "qwen2.5-7b")
"""Planned together on every profile: the only set of which servers share a card."""


def main() -> int:
    """Compare or rewrite; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rewrite", action="store_true", help="write the files anew")
    rewrite = parser.parse_args().rewrite
    GOLDEN.mkdir(parents=True, exist_ok=True)
    differ = [key for key in PROFILES if not _settle(key, rewrite=rewrite)]
    if differ:
        print(f"golden command lines differ for: {', '.join(differ)}", file=sys.stderr)
    return 1 if differ else 0


def render(hardware: HardwareProfile) -> str:
    """All command lines for one profile, as JSON that reads line by line in a diff."""
    sets = [(preset,) for preset in PRESETS.values()]
    pair = tuple(PRESETS[key] for key in PAIR)
    shown = {" + ".join(one.key for one in each): _lines(each, hardware) for each in [*sets, pair]}
    return msgspec.json.format(msgspec.json.encode(shown), indent=1).decode() + "\n"


def _lines(presets: tuple[ModelPreset, ...], hardware: HardwareProfile) -> list[str]:
    found = fit(Request(presets=presets, hardware=hardware))
    if not isinstance(found, LaunchPlan):
        return [f"refused: {found.reason}"]
    lines: list[str] = []
    for one in found.servers:
        names = " ".join(f"{name}={value}" for name, value in variables(one).items())
        lines.append(f"{names} {' '.join(argv(one, port=FIRST_PORT))}".strip())
    return lines


def _settle(key: str, *, rewrite: bool) -> bool:
    path, now = GOLDEN / f"{key}.json", render(PROFILES[key])
    if rewrite:
        path.write_text(now, encoding="utf-8")
        return True
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = unified_diff(before.splitlines(), now.splitlines(), str(path), "now", lineterm="")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return before == now


if __name__ == "__main__":
    sys.exit(main())
