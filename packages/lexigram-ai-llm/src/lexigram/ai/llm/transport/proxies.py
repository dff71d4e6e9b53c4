"""Which proxy applies to an address: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, in either case."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from lexigram.config import environment

__all__ = ["proxy_for"]


def proxy_for(url: str, env: Mapping[str, str] | None = None) -> str | None:
    """Return the proxy's URL, or None. Loopback addresses are never sent through one.

    ``NO_PROXY`` lists hosts (with their subdomains), ``*.domain``, addresses, networks (``10.0.0.0/8``) and
    ``host:port``; ``*`` is everything.
    """
    env = environment() if env is None else env
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = _setting(env, f"{parts.scheme}_proxy") or _setting(env, "all_proxy")
    if not proxy or _loopback(host):
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    listed = [item.strip() for item in (_setting(env, "no_proxy") or "").split(",")]
    if any(item and _matches(item, host, port) for item in listed):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _setting(env: Mapping[str, str], name: str) -> str | None:
    return env.get(name) or env.get(name.upper())


def _loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _matches(item: str, host: str, port: int) -> bool:
    if item == "*":
        return True
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(item.strip("[]"), strict=False)
        except ValueError:
            pass
    name, _, wanted = item.lower().rpartition(":") if item.count(":") == 1 else (item.lower(), "", "")
    if wanted and wanted != str(port):
        return False
    name = name.removeprefix("*").removeprefix(".")
    return host == name or host.endswith(f".{name}")
