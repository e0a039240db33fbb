"""Attacks by questions to the host: what a condition hides must look as if it did not exist."""
# ruff: noqa: E501 - the code of an attack is kept as a model would write it

from tests.sandbox.attacks.case import Case

_ASK = "import probe\n"


def _case(name: str, code: str, *, prints: str = "refused", is_own: bool = False) -> Case:
    return Case(
        f"questions: {name}",
        _ASK + code,
        end="ok",
        prints=prints,
        is_own=is_own,
        is_about_walls=False,
    )


CASES = (
    _case(
        "hidden and never existing are the same",
        "def told(method):\n    try:\n        return 'ESCAPED', probe.ask(method)\n"
        "    except AttributeError as error:\n        return str(error).replace(method, 'METHOD')\n"
        "print('refused' if told('hidden') == told('absent') else 'ESCAPED')",
    ),
    _case(
        "names with underscores",
        "for method in ('__class__', 'echo.__globals__', '_answer', ''):\n"
        "    try:\n        print('ESCAPED', probe.ask(method))\n"
        "    except AttributeError:\n        print('refused')",
    ),
    _case(
        "path instead of a name",
        "try:\n    print('ESCAPED', probe.ask('../../etc/passwd'))\n"
        "except AttributeError:\n    print('refused')",
    ),
    _case(
        "argument without a plain form",
        "try:\n    print('ESCAPED', probe.ask('echo', x=probe))\nexcept TypeError:\n    print('refused')",
    ),
    _case(
        "numpy values become plain",
        "import numpy as np\nprint(probe.ask('echo', x=np.float32(0.5), y=np.arange(2), z=(1, {2})))",
        prints="{'x': 0.5, 'y': [0, 1], 'z': [1, [2]]}",
        is_own=True,
    ),
    _case(
        "argument that contains itself",
        "x = []\nx.append(x)\ntry:\n    print('ESCAPED', probe.ask('echo', x=x))\n"
        "except RecursionError:\n    print('refused')",
        is_own=True,
    ),
    _case(
        "argument too large for a frame",
        "try:\n    print('ESCAPED', probe.ask('echo', x='x' * (3 << 20)))\n"
        "except ValueError:\n    print('refused')",
        is_own=True,
    ),
    _case(
        "integer beyond 64 bits",
        "try:\n    print('ESCAPED', probe.ask('echo', k=10 ** 30))\n"
        "except OverflowError:\n    print('refused')",
        is_own=True,
    ),
    _case(
        "surrogates as an argument",
        "try:\n    print('ESCAPED', probe.ask('echo', k='\\ud800'))\n"
        "except ValueError:\n    print('refused')",
        is_own=True,
    ),
    _case(
        "answer too large",
        "try:\n    print('ESCAPED', len(probe.ask('huge')))\nexcept ValueError:\n    print('refused')",
        is_own=True,
    ),
    _case(
        "twenty thousand questions",
        "n = 0\ntry:\n    for _ in range(20000):\n        probe.ask('echo')\n        n += 1\n"
        "except RuntimeError:\n    print('refused after', n)",
        prints="refused after 2000",
    ),
    _case(
        "refusals go on",
        "n = 0\nfor _ in range(2100):\n    try:\n        probe.ask('absent')\n"
        "    except (AttributeError, RuntimeError):\n        n += 1\nprint('refused', n)",
        prints="refused 2100",
        is_own=True,
    ),
    _case(
        "error of the host by name",
        "try:\n    probe.ask('fail', kind='KeyError')\nexcept KeyError:\n    print('refused')",
    ),
    _case(
        "error that is no exception",
        "try:\n    probe.ask('fail', kind='exit')\nexcept RuntimeError:\n    print('refused')",
        is_own=True,
    ),
    _case(
        "error that would end the block",
        "try:\n    probe.ask('fail', kind='SystemExit')\nexcept RuntimeError:\n    print('refused')",
        is_own=True,
    ),
    _case(
        "patched function lies only to itself",
        "probe.ask = lambda *a, **k: 'ESCAPED'[:0] + 'refused'\nprint(probe.ask('hidden'))",
    ),
    _case(
        "the bare question",
        "try:\n    print('ESCAPED', probe.__builtins__['_ask']('hidden', {}))\n"
        "except AttributeError:\n    print('refused')",
        is_own=True,
    ),
    _case(
        "the bare question is not the model's",
        "try:\n    _ask('echo', {})\nexcept NameError:\n    print('refused')",
        is_own=True,
    ),
)
