"""A real PgBouncer in transaction mode, in front of a PostgreSQL server of the tests."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.postgresql import Postgresql, free_port

_PROGRAM: Final = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
_SECONDS: Final = 30.0
_CONFIG: Final = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def pgbouncer(server: Postgresql) -> Iterator[int]:
    """Starts it, and yields its port; it has fewer connections to the server than the proxy has to it."""
    folder = Path(tempfile.mkdtemp(prefix="michiq-pgbouncer-"))
    port = free_port()
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "config").write_text(_CONFIG.format(server=server.port, port=port, folder=folder))
    command = [_PROGRAM, "--quiet", str(folder / "config")]
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")  # it refuses to run as root
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        user = ("--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig", "INT")
        command = ["setpriv", *user, *command]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    try:
        _until_it_listens(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _until_it_listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "PgBouncer has ended"
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("PgBouncer does not answer")
