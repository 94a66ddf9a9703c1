"""The fork server ends in silence when its serving process is gone, whatever it was about to say."""

import json
import os
import socket
import subprocess
import sys

from proxy.isolated import forkserver


def test_a_serving_process_that_ends_before_the_answer_leaves_no_trace_in_the_log() -> None:
    ours, theirs = socket.socketpair()
    order = {"path": sys.path, "modules": [], "readable": [], "control": theirs.fileno()}
    channel, other = socket.socketpair()
    reading, writing = os.pipe()
    with theirs, channel, other:
        server = subprocess.Popen(
            [sys.executable, "-c", forkserver.COMMAND, json.dumps(order)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        socket.send_fds(ours, [json.dumps({"modules": []}).encode()], [channel.fileno(), reading])
    ours.close()
    for each in (reading, writing):
        os.close(each)
    _, said = server.communicate(timeout=60)
    assert (server.returncode, said) == (0, b"")
