"""The edge: what HAProxy lets through to the replicas, and for how long.

Ray Serve writes HAProxy's configuration. This module makes it safe, for `proctor serve` and for clusters alike: one
edit per section. An edit that does not fit is an error, so a configuration of another Ray is never served half secured.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from envsearch.errors import InputError, ProctorError

HEAD_SECONDS: Final = 5
"""For the head of a request, and then for its body: all of it, or what fills a buffer (16 KiB)."""

SILENCE_SECONDS: Final = 20
"""Longest silence of a caller within a body or an answer, and between two calls on one connection."""

ANSWER_SECONDS: Final = 75
"""For a replica's answer: an owner has 60 s (`owners/batching.py`), and its timeout should be reported first."""

CONNECTIONS: Final = 4096
"""At a time, where so many files may be open."""

RESERVE: Final = 64
"""Of these, for the operator's own ports: health and metrics answer while the others are full."""

LEAST_CONNECTIONS: Final = 128
"""Below, even one address would have too few."""

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""Methods that reach the application, which knows which of them a path has."""

HEALTH: Final = ("/healthz", "/readyz")

TYPE_PREFIX: Final = "urn:proctor:problem:"
"""`type` of a problem (RFC 9457) is this and its slug, whoever answers; slugs never change their meaning."""

MARK: Final = "x-proctor-edge"
"""Header by which a replica knows the edge, and believes its `x-forwarded-for`."""

REQUEST_ID: Final = "x-request-id"
"""Header that names a request, by the caller or by the edge. The answer and all lines logged for it carry the name."""

REQUEST_ID_FORM: Final = "[0-9A-Za-z._-]{1,64}"
"""A caller's name of another form is replaced: it would be written into logs."""

SECRET: Final = "PROCTOR_EDGE_SECRET"
"""Environment variable: value of that header. Without it, nodes derive one from the token of their Ray cluster."""

PROXIES: Final = "PROCTOR_TRUSTED_PROXIES"
"""Environment variable: networks of proxies whose `x-forwarded-for` is believed, separated by commas."""

_OTHER_FILES = 256
"""Open files of HAProxy besides connections: listeners, threads, checks of the replicas."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What differs from one machine to another.

    Attributes:
        connections: at a time.
        proxies: networks whose callers are many callers, and whose `x-forwarded-for` is believed.
        secret: value of the header `MARK`; "": the replicas believe no `x-forwarded-for`.
        folder: of the answers to errors.
    """

    connections: int
    proxies: tuple[str, ...]
    secret: str
    folder: Path

    @property
    def polite(self) -> int:
        """Connections of one address; beyond, its calls get 429 and only health is answered."""
        return self.connections // 4

    @property
    def hard(self) -> int:
        """Connections of one address; beyond, further ones are closed unread."""
        return self.connections // 2


def fitting_connections(open_files: int, wanted: int = CONNECTIONS) -> int:
    """Connections for which so many open files suffice: two files for each, and two pipes for each fourth."""
    return max(0, min(wanted, (open_files - _OTHER_FILES) * 2 // 5))


def proxies_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The networks of trusted proxies.

    Raises:
        InputError: one of them is not a network.
    """
    names = [name.strip() for name in environment.get(PROXIES, "").split(",")]
    try:
        return tuple(str(ip_network(name)) for name in names if name)
    except ValueError as error:
        raise InputError(str(error), PROXIES, "networks as 10.0.0.0/8, separated by commas") from error


def secret_of(environment: Mapping[str, str]) -> str:
    """The edge's secret: the same for every process of a service, and known to nobody else."""
    if secret := environment.get(SECRET, ""):
        return secret
    token = cluster_token(environment)
    return hmac.new(token.encode(), b"proctor edge", hashlib.sha256).hexdigest() if token else ""


def cluster_token(environment: Mapping[str, str]) -> str:
    """The token of the Ray cluster, where Ray looks for it; "": there is none."""
    return environment.get("RAY_AUTH_TOKEN", "") or _token_in_file(environment)


def _token_in_file(environment: Mapping[str, str]) -> str:
    default = Path(environment.get("HOME", "/nonexistent"), ".ray", "auth_token")
    try:
        return Path(environment.get("RAY_AUTH_TOKEN_PATH") or default).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def secured(text: str, edge: Edge) -> str:
    """Ray's configuration of HAProxy with the limits of this module.

    Raises:
        ProctorError: it is not the configuration that Ray 2.60 writes.
    """
    sections = _sections(text)
    for header, edit in _EDITS.items():
        if header not in sections:
            raise ProctorError(f"HAProxy's configuration has no section {header!r}; Proctor knows that of Ray 2.60")
        sections[header] = edit(sections[header], edge)
    if backend := _application(sections["frontend http_frontend"]):
        sections["frontend prometheus"] += f"    use_backend {backend} if health\n"
    return "".join(header + "\n" + body for header, body in sections.items())


def _sections(text: str) -> dict[str, str]:
    """The body of each section, by its first line."""
    parts = re.split(r"^(\S.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _application(frontend: str) -> str:
    """Name of the application's backend; "" as long as there is no application."""
    match = re.search(r"^    use_backend (\S+) if is_", frontend, re.MULTILINE)
    return match[1] if match else ""


def _replaced(pattern: str, replacement: str, body: str) -> str:
    edited, count = re.subn(pattern, lambda _: replacement, body, flags=re.MULTILINE)
    if not count:
        raise ProctorError(f"HAProxy's configuration has no line {pattern!r}; Proctor knows that of Ray 2.60")
    return edited


def _global(body: str, edge: Edge) -> str:
    body = _replaced(r"\bmode 666\b", "mode 600", body)
    return _replaced(r"^    maxconn \d+$", f"    maxconn {edge.connections}", body)


def _defaults(body: str, edge: Edge) -> str:
    body = _replaced(r"^    errorfile 50[234] .*$", "", body)
    body = _replaced(r"^    timeout (client|server|queue|http-request|http-keep-alive) \S+$", "", body)
    files = "".join(f"    errorfile {code} {edge.folder}/{name}.http\n" for code, name in _ERRORFILES.items())
    return body.rstrip("\n") + "\n" + files + _TIMEOUTS


_TIMEOUTS = f"""\
    timeout http-request {HEAD_SECONDS}s
    timeout http-keep-alive {SILENCE_SECONDS}s
    timeout client {SILENCE_SECONDS}s
    timeout server {ANSWER_SECONDS}s
    timeout queue {SILENCE_SECONDS}s
    timeout tunnel {SILENCE_SECONDS}s
"""


def _operators(body: str, edge: Edge) -> str:
    """Health and metrics: for this machine alone, within the reserve."""
    own = [f"maxconn {RESERVE // 4}", _own_proxy(edge), *_head_rules(edge), _refusal("no-such-path", "unless health")]
    return _replaced(r"\bbind :", "bind 127.0.0.1:", body) + _lines(own)


def _statistics(body: str, edge: Edge) -> str:
    return _replaced(r"\bbind \*:", "bind 127.0.0.1:", body) + f"  maxconn {RESERVE // 4}\n"


def _frontend(body: str, edge: Edge) -> str:
    """Right after the address, so that nothing of Ray's precedes it."""
    bind, _, rest = body.partition("\n")
    if not bind.startswith("    bind "):
        raise ProctorError(f"HAProxy's configuration begins with {bind!r}; Proctor knows that of Ray 2.60")
    return (
        bind
        + "\n"
        + _lines(_connection_rules(edge) + _head_rules(edge) + [_refusal("overloaded", "if crowded !health")])
        + rest
    )


def _lines(rules: list[str]) -> str:
    return "".join(f"    {rule}\n" for rule in rules)


def _connection_rules(edge: Edge) -> list[str]:
    return [
        f"maxconn {edge.connections - RESERVE}",
        _own_proxy(edge),
        "stick-table type ipv6 size 100k expire 1m store conn_cur",
        "tcp-request connection track-sc0 src,ipmask(32,64) unless own_proxy",
        f"tcp-request connection reject if {{ sc0_conn_cur gt {edge.hard} }}",
        f"acl crowded sc0_conn_cur gt {edge.polite}",
    ]


def _own_proxy(edge: Edge) -> str:
    return f"acl own_proxy src {' '.join(edge.proxies)}" if edge.proxies else "acl own_proxy always_false"


def _head_rules(edge: Edge) -> list[str]:
    """For every way to a replica, in the order in which they apply."""
    return [
        # HTTP/2 has bodies without a length, and trailers, which would reach a replica as chunks.
        "option disable-h2-upgrade",
        *_request_id_rules(),
        f"acl health path {' '.join(HEALTH)}",
        _refusal("method-not-allowed", f"unless {{ method {' '.join(METHODS)} }}"),
        _refusal("malformed-request", "unless { path_beg / }"),
        # A replica would read a chunked body to its end only if the call needs one, and its trailers as headers.
        _refusal("length-required", "if { req.hdr(transfer-encoding) -m found }"),
        "http-request del-header upgrade",
        "http-request del-header trailer",
        "http-request set-header x-forwarded-for %[src] unless own_proxy { req.hdr(x-forwarded-for) -m found }",
        f"http-request set-header {MARK} {edge.secret}" if edge.secret else f"http-request del-header {MARK}",
        f"http-request wait-for-body time {HEAD_SECONDS}s",
    ]


def _request_id_rules() -> list[str]:
    """Before every refusal, so that its answer is named too; what HAProxy cannot read as a request has no name."""
    named = f"{{ req.fhdr_cnt({REQUEST_ID}) eq 1 }} {{ req.fhdr({REQUEST_ID}) -m reg ^{REQUEST_ID_FORM}$ }}"
    return [
        f"http-request set-var(txn.request_id) req.fhdr({REQUEST_ID}) if {named}",
        "http-request set-var(txn.request_id) uuid() unless { var(txn.request_id) -m found }",
        f"http-request set-header {REQUEST_ID} %[var(txn.request_id)]",
        f"http-after-response set-header {REQUEST_ID} %[var(txn.request_id)] if {{ var(txn.request_id) -m found }}",
    ]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the edge itself."""

    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()


REFUSALS: Final[Mapping[str, Refusal]] = {
    "malformed-request": Refusal(400, "the request is incomplete, or not one of HTTP/1.1 for a path of this service"),
    "no-such-path": Refusal(404, f"this port is for {', '.join(HEALTH)} and /metrics of HAProxy"),
    "method-not-allowed": Refusal(405, "no path has this method", (("allow", ", ".join(METHODS)),)),
    "too-slow": Refusal(408, f"the request did not arrive within {HEAD_SECONDS} s"),
    "length-required": Refusal(411, "the body comes in chunks; send it with a content-length"),
    "overloaded": Refusal(429, "too many connections come from this address", (("retry-after", "1"),)),
    "unavailable": Refusal(503, "no replica answers now; the same call again is safe", (("retry-after", "1"),)),
    "timed-out": Refusal(504, f"no answer within {ANSWER_SECONDS} s; the same call again is safe"),
}
"""Problems of the edge, by their slugs. The connection is closed: what follows on it was not read."""

_ERRORFILES: Final[Mapping[int, str]] = {
    400: "malformed-request",
    408: "too-slow",
    # A replica that ends within a call is replaced, like one that cannot be reached.
    502: "unavailable",
    503: "unavailable",
    504: "timed-out",
}
"""What is answered to HAProxy's own errors."""


def _document(slug: str) -> str:
    refusal = REFUSALS[slug]
    phrase = HTTPStatus(refusal.status).phrase
    problem = {"type": TYPE_PREFIX + slug, "title": phrase, "status": refusal.status}
    return json.dumps(problem | {"detail": refusal.detail}, separators=(",", ":"))


def _refusal(slug: str, condition: str) -> str:
    refusal = REFUSALS[slug]
    headers = "".join(f' hdr {name} "{value}"' for name, value in (*refusal.headers, ("connection", "close")))
    text = f"http-request return status {refusal.status} content-type application/problem+json"
    return f"{text} string '{_document(slug)}'{headers} {condition}"


def error_pages() -> dict[str, str]:
    """The files of the answers to HAProxy's own errors, by name."""
    return {f"{slug}.http": _page(slug) for slug in set(_ERRORFILES.values())}


def _page(slug: str) -> str:
    refusal, body = REFUSALS[slug], _document(slug)
    headers = {"content-type": "application/problem+json", "content-length": str(len(body)), "connection": "close"}
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in (headers | dict(refusal.headers)).items()]
    return "\r\n".join([*lines, "", body])


def _nothing_yet(body: str, edge: Edge) -> str:
    """After a restart HAProxy has no application yet, and 404 would make callers give up."""
    return _replaced(r"^    http-request return status 404 .*$", "    " + _refusal("unavailable", "").rstrip(), body)


_EDITS: Final[Mapping[str, Callable[[str, Edge], str]]] = {
    "global": _global,
    "defaults": _defaults,
    "frontend prometheus": _operators,
    "frontend http_frontend": _frontend,
    "backend default_backend": _nothing_yet,
    "listen stats": _statistics,
}
"""The explicit table: section -> its edit."""
