"""A user's own parts: objects named by import path, ``module:object``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from envsearch.errors import InputError


def is_import_path(name: str) -> bool:
    """Whether a name is written as ``module:object`` and not as a table entry."""
    module, separator, attribute = name.partition(":")
    return bool(separator and module and attribute)


def load_object(path: str, field: str = "") -> Any:
    """The object that ``module:object`` names; the working directory is importable, as for ``python -m``.

    Raises:
        InputError: the path is malformed, the module cannot be imported, or it has no such object.
    """
    module_name, separator, attribute = path.partition(":")
    if not (separator and module_name and attribute):
        raise InputError(
            f"{path!r} is not an import path", field, "module:object, for instance my_package.parts:MyOperator"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:  # a user's module may fail in any way while it is imported
        item: Any = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(f"{path!r}: cannot import {module_name!r} ({type(error).__name__}: {error})", field) from error
    for part in attribute.split("."):
        if not hasattr(item, part):
            raise InputError(f"{path!r}: {module_name!r} has no {attribute!r}", field)
        item = getattr(item, part)
    return item
