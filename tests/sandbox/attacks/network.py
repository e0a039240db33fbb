"""Attacks by network: the host listens on TCP, UDP and an abstract socket, and hears nothing."""

from tests.sandbox.attacks.case import Case

_SOCKET = "import socket\n"


def _attempt(name: str, expression: str, *, before: str = "", is_own: bool = False) -> Case:
    code = f"{_SOCKET}{before}\nattempt(lambda: {expression})"
    return Case(f"network: {name}", code, is_own=is_own)


CASES = (
    _attempt("TCP", "socket.create_connection(('127.0.0.1', @TCP@), 1)"),
    _attempt("TCP over IPv6", "socket.socket(socket.AF_INET6)", is_own=True),
    _attempt("UDP", "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @UDP@))"),
    _attempt("abstract socket", "socket.socket(socket.AF_UNIX).connect('\\0@ABSTRACT@')"),
    _attempt("listen", "socket.create_server(('127.0.0.1', 0))", is_own=True),
    _attempt("pair", "socket.socketpair()"),
    _attempt("raw", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", is_own=True),
    _attempt("netlink", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", is_own=True),
    _attempt("packet", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", is_own=True),
    _attempt("vsock", "socket.socket(socket.AF_VSOCK)", is_own=True),
    _attempt("kernel crypto", "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)", is_own=True),
    Case(
        "network: DNS",
        "import socket\ntry:\n    print('ESCAPED', socket.getaddrinfo('localhost', 80))\n"
        "except OSError:\n    print('refused')",
    ),
    Case(
        "network: HTTP",
        "import urllib.request\ntry:\n"
        "    print('ESCAPED', urllib.request.urlopen('http://127.0.0.1:@TCP@', timeout=1))\n"
        "except OSError:\n    print('refused')",
    ),
    Case(
        "network: connection of an event loop",
        "import asyncio\nattempt(lambda: asyncio.run(asyncio.open_connection('127.0.0.1', 80)))",
        is_own=True,
    ),
    Case(
        "network: pass a descriptor up the channel",
        "import array, socket\n"
        "channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=3)\n"
        "attempt(lambda: channel.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,\n"
        "                                          array.array('i', [3]))]))\nchannel.detach()",
        is_own=True,
    ),
    Case(
        "network: connect the channel elsewhere",
        "import socket\nchannel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=3)\n"
        "attempt(lambda: channel.connect('\\0@ABSTRACT@'))\nchannel.detach()",
        is_own=True,
    ),
    Case(
        "network: who is at the other end",
        "import socket\nchannel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=3)\n"
        "attempt(lambda: channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))\n"
        "channel.detach()",
        is_own=True,
    ),
)
