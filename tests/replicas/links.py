"""Puts a replica into a network namespace of its own, whose way to the others can be cut at a port.

The process itself is in a namespace that `isolated` has made: nothing of this machine is changed.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

Way: TypeAlias = Literal["to", "from", "both"]

# In a new network, with mounts and processes of its own: all of them end with its first one.
_ISOLATED: Final = (
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    sys.executable,
)
_PROBE: Final = "ip link add probe type veth peer name other && mount -t tmpfs tmpfs /mnt && iptables -L"


def can_isolate() -> bool:
    """Returns whether this machine lets us make networks and mounts: as root, and not in every container."""
    if not all(map(shutil.which, ("unshare", "ip", "iptables", "mount"))):
        return False
    probing = [*_ISOLATED[:-1], "sh", "-c", _PROBE]
    return subprocess.run(probing, capture_output=True, check=False).returncode == 0


def isolated(*arguments: str) -> list[str]:
    """Returns the command that runs Python with these arguments in a network of its own."""
    return [*_ISOLATED, *arguments]


@dataclass(frozen=True, slots=True)
class Link:
    """The one link of a replica's namespace; what it calls at 127.0.0.1 is answered at this end."""

    number: int

    @property
    def address(self) -> str:
        return f"10.77.{self.number}.2"

    def command(self, *arguments: str) -> list[str]:
        """Returns the command in the replica's namespace; it is the same process as without."""
        return ["ip", "netns", "exec", f"r{self.number}", *arguments]

    async def make(self) -> None:
        name, near = f"r{self.number}", f"10.77.{self.number}.1"
        for line in (
            f"ip netns add {name}",
            f"ip link add v{self.number} type veth peer name eth0 netns {name}",
            f"ip addr add {near}/30 dev v{self.number}",
            f"ip link set v{self.number} up",
            f"ip -n {name} addr add {self.address}/30 dev eth0",
            f"ip -n {name} link set eth0 up",
            f"ip -n {name} link set lo up",
        ):
            await run(*line.split())
        await self._inside("sysctl -qw net.ipv4.conf.all.route_localnet=1")
        await self._inside(f"iptables -t nat -A OUTPUT -d 127.0.0.1 -p tcp -j DNAT --to-destination {near}")
        await self._inside("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE")

    async def cut(self, port: int, way: Way) -> None:
        """Drops the packets to a server's port, those that come from it, or both."""
        if way != "from":
            await self._inside(f"iptables -A OUTPUT -p tcp --dport {port} -j DROP")
        if way != "to":
            await self._inside(f"iptables -A INPUT -p tcp --sport {port} -j DROP")

    async def cut_off(self, port: int) -> None:
        """Drops what others send to the replica's own port."""
        await self._inside(f"iptables -A INPUT -i eth0 -p tcp --dport {port} -j DROP")

    async def join(self) -> None:
        """Lets all packets through again."""
        await self._inside("iptables -F")

    async def _inside(self, line: str) -> None:
        await run(*self.command(*line.split()))


async def make_hub() -> None:
    """Prepares this end: what arrives from a replica is answered by the servers at 127.0.0.1."""
    folder = Path("/run/netns")
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    await run("mount", "-t", "tmpfs", "tmpfs", str(folder))
    for line in (
        "ip link set lo up",
        "sysctl -qw net.ipv4.conf.all.route_localnet=1",
        "iptables -t nat -A PREROUTING -i v+ -p tcp -j DNAT --to-destination 127.0.0.1",
        "iptables -t nat -A INPUT -s 10.77.0.0/16 -p tcp -j SNAT --to-source 127.0.0.1",
    ):
        await run(*line.split())


async def run(*command: str, check: bool = True) -> str:
    """Runs a command to its end and returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd="/"
    )
    said = (await process.communicate())[0].decode(errors="replace")
    assert not check or process.returncode == 0, f"{_first(command)}: {said}"
    return said


def _first(command: Sequence[str]) -> str:
    return " ".join(command[:6])
