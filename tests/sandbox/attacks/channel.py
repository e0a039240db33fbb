"""Attacks on the channel: a worker that lies, floods or falls silent is ended."""
# ruff: noqa: E501 - the code of an attack is kept as a model would write it

from tests.sandbox.attacks.case import Case

FORGE = """
import struct, sys

def packed(value):
    if value is None:
        return b"\\xc0"
    if isinstance(value, bool):
        return b"\\xc3" if value else b"\\xc2"
    if isinstance(value, int):
        return b"\\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\\xdb" + struct.pack(">I", len(data)) + data
    if isinstance(value, bytes):
        return b"\\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, list):
        return b"\\xdd" + struct.pack(">I", len(value)) + b"".join(map(packed, value))
    items = b"".join(packed(k) + packed(v) for k, v in value.items())
    return b"\\xdf" + struct.pack(">I", len(value)) + items

def write(data):
    while data:
        data = data[os.write(3, data):]

def send(value):
    body = value if isinstance(value, bytes) else packed(value)
    write(struct.pack(">I", len(body)) + body)

def block_id():
    frame = sys._getframe()
    while "order" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["order"].id

def ask(method, **arguments):
    return {"t": "ask", "id": block_id(), "method": method, "arguments": arguments}
"""


def _forgery(name: str, act: str, *, is_own: bool = False, is_hasty: bool = False) -> Case:
    """The worker must be ended: it broke the protocol."""
    code = f"{FORGE}\n{act}\nimport time\ntime.sleep(60)"
    return Case(
        f"channel: {name}",
        code,
        end="lost",
        spoils=True,
        is_own=is_own,
        is_hasty=is_hasty,
        is_about_walls=False,
    )


CASES = (
    _forgery("done of another block", "send({'t': 'done', 'id': 7, 'failure': None})"),
    _forgery("question of another block", "send({**ask('echo'), 'id': 7})"),
    _forgery("ready again", "send({'t': 'ready'})", is_own=True),
    _forgery("oversize header", "write(struct.pack('>I', 0x7fffffff) + b'x' * 100)"),
    _forgery("largest header", "write(b'\\xff\\xff\\xff\\xff')", is_own=True),
    _forgery("garbage", "send(os.urandom(500))"),
    _forgery("empty frame", "send(b'')", is_own=True),
    _forgery("not a map", "send([1, 2, 3])"),
    _forgery("unknown frame", "send({'t': 'fork', 'serial': 1})", is_own=True),
    _forgery(
        "frame of the host", "send({'t': 'run', 'id': 1, 'number': 1, 'code': ''})", is_own=True
    ),
    _forgery("additional field", "send({**ask('echo'), 'admin': True})", is_own=True),
    _forgery("missing field", "send({'t': 'ask', 'id': block_id()})", is_own=True),
    _forgery("method is not text", "send({**ask('echo'), 'method': 5})"),
    _forgery("arguments are a list", "send({**ask('echo'), 'arguments': [1]})"),
    _forgery(
        "names of arguments are numbers", "send({**ask('echo'), 'arguments': {1: 2}})", is_own=True
    ),
    _forgery("nesting bomb", "send(b'\\x91' * 1_000_000 + b'\\xc0')"),
    _forgery(
        "nesting bomb in arguments",
        "value = 0\nbody = packed(ask('echo'))[:-5]\n"
        "send(body + b'\\xdf\\0\\0\\0\\x01' + packed('x') + b'\\x91' * 900_000 + b'\\xc0')",
        is_own=True,
    ),
    _forgery("length lie", "send(b'\\xdd\\x7f\\xff\\xff\\xff')"),
    _forgery("map length lie", "send(b'\\xdf\\xff\\xff\\xff\\xff')", is_own=True),
    _forgery("text length lie", "send(b'\\xdb\\xff\\xff\\xff\\xffabc')", is_own=True),
    _forgery(
        "text is not UTF-8",
        "send(packed(ask('echo')).replace(b'echo', b'\\xff\\xfe\\xff\\xfe'))",
        is_own=True,
    ),
    _forgery("pickle", "import pickle\nsend(pickle.dumps(ask('echo')))"),
    _forgery(
        "two frames at once",
        "frame = packed(ask('echo'))\nwrite(2 * (struct.pack('>I', len(frame)) + frame))",
        is_own=True,
    ),
    _forgery("three thousand unread answers", "for _ in range(3000): send(ask('big'))"),
    _forgery("a flood", "while True: os.write(3, b'\\0' * 65536)", is_own=True),
    _forgery("channel closed", "os.close(3)"),
    _forgery(
        "failure with a huge traceback",
        "text = 'x' * (3 << 20)\n"
        "send({'t': 'done', 'id': block_id(), 'failure': {'kind': 'E', 'message': 'm', 'traceback': text}})",
        is_own=True,
    ),
    _forgery(
        "half a frame, then silence",
        "write(struct.pack('>I', 100) + b'x' * 50)\nimport signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        is_hasty=True,
    ),
    _forgery(
        "reads the answer meant for later",
        "send(ask('echo'))\nos.read(3, 10)\nimport signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        is_own=True,
        is_hasty=True,
    ),
    Case(
        "channel: question with types that JSON lacks",
        f"{FORGE}\nsend({{**ask('echo'), 'arguments': {{'x': b'bytes'}}}})\n"
        "body = os.read(3, 4096)\nprint('refused' if b'TypeError' in body else body)",
        is_about_walls=False,
        is_own=True,
    ),
    Case(
        "channel: question with a timestamp",
        f"{FORGE}\nbody = packed(ask('echo'))[:-5]\n"
        "send(body + b'\\xdf\\0\\0\\0\\x01' + packed('x') + b'\\xd6\\xff\\0\\0\\0\\1')\n"
        "body = os.read(3, 4096)\nprint('refused' if b'TypeError' in body else body)",
        is_about_walls=False,
        is_own=True,
    ),
    Case(
        "channel: done and then a question",
        f"{FORGE}\nsend({{'t': 'done', 'id': block_id(), 'failure': None}})\nsend(ask('echo'))",
        end="any",
        spoils=True,
        is_about_walls=False,
        is_own=True,
    ),
    Case(
        "channel: forged end of the running block",
        f"{FORGE}\nsend({{'t': 'done', 'id': block_id(), 'failure': None}})",
        end="any",
        spoils=True,
        is_about_walls=False,
    ),
)
