"""Holds connections until stdin ends: `python -m tests.bench.holders PORT COUNT idle|slow`.

An idle one has had an answer. A slow one is in the middle of a newCase of 20 KB, and sends 64 bytes a second.
"""

import select
import sys
from itertools import cycle

from tests.bench import bodies, calls
from tests.bench.client import Client

_DRIP = 64


def main(port: int, count: int, kind: str) -> None:
    clients = [Client(port) for _ in range(count)]
    whole = calls.new_case_request(bodies.case_form(20 * bodies.KB))
    for client in clients:
        if kind == "idle":
            calls.good(client.send(calls.encounters_request()))
        else:
            client.socket.sendall(whole[: len(whole) // 2])
    print("held", flush=True)  # noqa: T201
    pause = 1 / count if kind == "slow" else 3600
    sent = dict.fromkeys(range(count), len(whole) // 2)
    for number in cycle(range(count)):
        if select.select([sys.stdin], [], [], pause)[0]:
            break
        clients[number].socket.sendall(whole[sent[number] : sent[number] + _DRIP])
        sent[number] += _DRIP
    print(sum(_is_open(client) for client in clients), flush=True)  # noqa: T201


def _is_open(client: Client) -> bool:
    """A connection that the peer has closed can be read from at once."""
    return not select.select([client.socket], [], [], 0)[0]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
