"""The text of a report as XML that a strict parser accepts: what real writers leave in it is passed over.

Characters that XML forbids are removed (also as references), bytes that do not decode become U+FFFD. XML declarations
and harmless document types become spaces, so several documents in one file can be read as one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from envsearch.errors import InputError

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,8}));")
_HARMLESS = re.compile(
    r"""<!DOCTYPE\s+[\w:.-]{1,100}\s*(?:SYSTEM\s+|PUBLIC\s+(?:"[^"]*"|'[^']*')\s*)?(?:"https?:[^"]*"|'https?:[^']*')?\s*>"""
)
_PARTS = re.compile(r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?xml\s[^>]*>|<!DOCTYPE\b[^\[>]*[\[>]?", re.DOTALL)


def clean_xml(data: bytes, source: str) -> str:
    """The text of a report; lines stay where they are.

    Raises:
        InputError: its encoding is unknown, or it has a document type that could hold entities.
    """
    text = _FORBIDDEN.sub("", _decoded(data, source))
    return _PARTS.sub(_without_prolog(source), _REFERENCE.sub(_allowed, text))


def _decoded(data: bytes, source: str) -> str:
    name = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    if name is None:
        match = _DECLARED.search(data[:1000])
        name = match[1].decode() if match else "utf-8"
    try:
        if name.lower().replace("_", "-") in ("utf-7", "utf7"):  # hides markup from whoever looks at the bytes
            raise LookupError("UTF-7")
        return codecs.decode(data, name, "replace").removeprefix("\ufeff")
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"cannot be decoded ({name})", "line 1", "JUnit XML in UTF-8", source) from error


def _allowed(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else int(match[2])
    return match[0] if code <= 0x10FFFF and not _FORBIDDEN.match(chr(code)) else ""


def _without_prolog(source: str) -> Callable[[re.Match[str]], str]:
    def replaced(match: re.Match[str]) -> str:
        part = match[0]
        if part.startswith(("<![", "<!--")):
            return part
        if part.startswith("<!D") and not _HARMLESS.fullmatch(part):
            line = match.string.count("\n", 0, match.start()) + 1
            column = match.start() - match.string.rfind("\n", 0, match.start())
            field, expected = f"line {line}, column {column}", "JUnit XML without <!DOCTYPE>"
            raise InputError("has a document type or entities", field, expected, source)
        return re.sub(r"[^\n]", " ", part)

    return replaced
