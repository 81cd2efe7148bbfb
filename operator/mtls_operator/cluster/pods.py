"""Questions to the server pods' admin port."""

from ipaddress import ip_address
from typing import Final, Self

import aiohttp
import msgspec

from mtls_operator.reconcile.ports import UnavailableError
from mtls_server.contract import ADMIN_PORT, State

_TIMEOUT: Final = aiohttp.ClientTimeout(total=2)
_LONGEST_ANSWER: Final = 64 << 10


class PodClient:
    """Implements `mtls_operator.reconcile.ports.Pods`. Use it as an async context manager.

    A pod is not trusted: its answer is bounded in time and size, and sends us nowhere else.
    """

    def __init__(self, port: int = ADMIN_PORT) -> None:
        self._port = port
        # Pods live as briefly as connections do, and no proxy stands between them and us.
        self._session = aiohttp.ClientSession(
            timeout=_TIMEOUT,
            connector=aiohttp.TCPConnector(force_close=True, limit=16),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,  # what is short on the wire could be without bounds once it is inflated
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def state(self, address: str) -> State:
        """Ask the pod at this IP which generation it serves."""
        try:
            host = f"[{address}]" if ip_address(address).version == 6 else address
            url = f"http://{host}:{self._port}/state"
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise UnavailableError(f"pod answered HTTP {answer.status}")
                body = await _bounded(answer.content)
            return msgspec.json.decode(body, type=State)
        except TimeoutError:
            raise UnavailableError(f"pod did not answer within {_TIMEOUT.total:.0f} s") from None
        except (aiohttp.ClientError, OSError) as trouble:
            raise UnavailableError(f"pod cannot be reached: {type(trouble).__name__}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UnavailableError("pod answered something that is no state") from None
        except ValueError:
            raise UnavailableError("pod has no usable address") from None


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _LONGEST_ANSWER:
            raise UnavailableError(f"pod answered more than {_LONGEST_ANSWER} bytes")
    return bytes(body)
