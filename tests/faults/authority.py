"""A certificate authority of the tests' own, and certificates that it signed."""

import ssl
from pathlib import Path
from typing import NamedTuple

import trustme


class Authority(NamedTuple):
    """What a server needs, and what its users have to trust."""

    server: ssl.SSLContext
    """Shows a certificate for this machine."""
    ca_file: Path
    """PEM of the authority."""


def make_authority(folder: Path) -> Authority:
    """Found an authority in `folder`, and have it sign for 127.0.0.1 and localhost."""
    ca = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    ca_file = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    return Authority(server, ca_file)
