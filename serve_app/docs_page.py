"""The page of the calls for people, made from the OpenAPI document. It loads nothing and runs no script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from starlette.responses import HTMLResponse

HEADERS: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{background:#f4f4f4}pre{padding:.5rem;overflow:auto}"
    "summary{cursor:pointer}td,th{text-align:left;padding:0 1rem 0 0}"
)


def docs_page(document: Mapping[str, Any]) -> HTMLResponse:
    """All calls by group, then the structs of their bodies."""
    title = escape(document["info"]["title"])
    style = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    head = f'<!DOCTYPE html><html lang="en"><head>{style}</head>'
    intro = f"<h1>{title}</h1><p>{escape(document['info']['description'])}</p>"
    link = '<p>For programs: <a href="/openapi.json">/openapi.json</a></p>'
    parts = [*_calls(document["paths"]), "<h2>Bodies</h2>", *_schemas(document["components"]["schemas"])]
    return HTMLResponse(f"{head}<body>{intro}{link}{''.join(parts)}</body></html>", headers=HEADERS)


def _calls(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, call in methods.items():
            yield f"<h3><code>{method.upper()} {escape(path)}</code> {escape(call['summary'])}</h3>"
            yield f"<p>{escape(call['description'])}</p><table>"
            yield from map(_parameter, call.get("parameters", ()))
            if "requestBody" in call:
                yield f"<tr><th>body</th><td>{_struct(call['requestBody'])}</td></tr>"
            for status, answer in call["responses"].items():
                yield f"<tr><th>{status}</th><td>{escape(answer['description'])} {_struct(answer)}</td></tr>"
            yield "</table>"


def _parameter(parameter: Mapping[str, Any]) -> str:
    return f"<tr><th>{escape(parameter['name'])}</th><td>{parameter['in']}: {_json(parameter['schema'])}</td></tr>"


def _struct(carrier: Mapping[str, Any]) -> str:
    """A link to the struct of a body or an answer; "": it has none."""
    references = [content["schema"].get("$ref", "") for content in carrier.get("content", {}).values()]
    names = [escape(reference.rpartition("/")[2]) for reference in references if reference]
    return " ".join(f'<a href="#{name}">{name}</a>' for name in names)


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        shown = escape(name)
        yield f'<details id="{shown}"><summary>{shown}</summary><pre>{_json(schema, indent=2)}</pre></details>'


def _json(value: Any, indent: int | None = None) -> str:
    return f"<code>{escape(json.dumps(value, indent=indent))}</code>"
