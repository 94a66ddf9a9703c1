"""Opens connections to one upstream: directly or through the outbound proxy, with TLS for https."""

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
    """A host name without any private address."""


@dataclass(frozen=True, slots=True)
class Dialer:
    """The address of one upstream. `tls` None is plain http; `private_only` allows only private addresses."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    private_only: bool = False
    proxy: OutboundProxy | None = field(default=None, repr=False)

    async def open(self, made: Callable[[], Connection], seconds: float) -> Connection:
        """Opens and returns a connection, after its TLS handshake. Raises NotConnected."""
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
        except (OSError, UnicodeError):  # also of a name that is not found or not valid
            why = errors.UNREACHABLE
        # Raised outside the handler, so that the foreign error does not become its context.
        raise NotConnected(why)

    async def _open(self, made: Callable[[], Connection], seconds: float) -> Connection:
        """Tries the addresses one after another, each for its share of the time."""
        if self.proxy is not None and self.proxy.is_for(self.host, tls=self.tls is not None):
            return await open_tunnel(self.proxy, self.host, self.port, self.tls, made)
        failure: OSError = NotPrivate()
        addresses = await self._addresses()
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                async with asyncio.timeout(seconds / left):
                    return await self._open_to(address, made)
            except OSError as error:  # TimeoutError is an OSError too
                failure = error
        raise failure

    async def _addresses(self) -> list[str]:
        """Returns the allowed addresses of one look-up, so that exactly the checked addresses are used."""
        if parse_ip(self.host) is not None:
            found = [self.host]
        else:
            loop = asyncio.get_running_loop()
            entries = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(address[0]) for *_, address in entries))
        return [each for each in found if is_private(each)] if self.private_only else found

    async def _open_to(self, address: str, made: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        name = self.host if self.tls else None
        _, connection = await loop.create_connection(
            made, address, self.port, ssl=self.tls, server_hostname=name
        )
        return connection
