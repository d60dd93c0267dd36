# SPDX-License-Identifier: Apache-2.0
"""Ports for servers of a test's own."""
import socket


def free_port() -> int:
    """One that nobody has, and that nobody is given for a minute who asks for any: a connection that
    its listening side closed first still occupies it, which a server that asks for this very one
    (all do with SO_REUSEADDR) does not mind."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        probe.listen(1)
        port = int(probe.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port), timeout=30):
            probe.accept()[0].close()
    return port
