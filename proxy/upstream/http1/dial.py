"""Opens connections to one upstream: directly or through the outbound proxy, by TLS where it is https."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.addresses import is_private, parse_ip
from proxy.outbound_proxy import OutboundProxy
from proxy.upstream.http1 import errors
from proxy.upstream.http1.connection import Connection
from proxy.upstream.http1.errors import NotConnected
from proxy.upstream.http1.tunnel import ProxyRefused, ProxyUnreachable, open_tunnel


class NotPrivate(OSError):
    """A name stands for no address in a closed network."""


@dataclass(frozen=True, slots=True)
class Dialer:
    """Knows where one upstream is. `tls` None is plain http; `private_only` holds it to private addresses."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    private_only: bool = False
    proxy: OutboundProxy | None = field(default=None, repr=False)

    async def open(self, made: Callable[[], Connection], seconds: float) -> Connection:
        """Returns a connection, TLS handshake done. Raises NotConnected."""
        try:
            async with asyncio.timeout(seconds):
                return await self._open(made, seconds)
        except TimeoutError:
            why = errors.TIMEOUT
        except ProxyRefused:
            why = errors.PROXY_REFUSED
        except ProxyUnreachable:
            why = errors.PROXY_UNREACHABLE
        except ConnectionRefusedError:
            why = errors.REFUSED
        except ssl.SSLError:
            why = errors.TLS
        except NotPrivate:
            why = errors.NOT_PRIVATE
        except (OSError, UnicodeError):  # a name that can't be looked up, or can't be one, among them
            why = errors.UNREACHABLE
        # Raised out here, where it does not carry the foreign error along as its context.
        raise NotConnected(why)

    async def _open(self, made: Callable[[], Connection], seconds: float) -> Connection:
        """Tries the addresses one after the other, each for its share of the time."""
        if self.proxy is not None and self.proxy.is_for(self.host, tls=self.tls is not None):
            return await open_tunnel(self.proxy, self.host, self.port, self.tls, made)
        failure: OSError = NotPrivate()
        addresses = await self._addresses()
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                async with asyncio.timeout(seconds / left):
                    return await self._open_to(address, made)
            except OSError as error:  # a time that is over, too
                failure = error
        raise failure

    async def _addresses(self) -> list[str]:
        """Looks the name up once: what was judged is what is connected to."""
        if parse_ip(self.host) is not None:
            found = [self.host]
        else:
            loop = asyncio.get_running_loop()
            places = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(place[0]) for *_, place in places))
        return [each for each in found if is_private(each)] if self.private_only else found

    async def _open_to(self, address: str, made: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        name = self.host if self.tls else None
        _, connection = await loop.create_connection(
            made, address, self.port, ssl=self.tls, server_hostname=name
        )
        return connection
