"""Libraries that only some parts need and that a light installation leaves out."""

from __future__ import annotations

from importlib.util import find_spec

from envsearch.errors import InputError


def is_installed(library: str) -> bool:
    """Whether a library can be imported; it is not imported."""
    try:
        return find_spec(library) is not None
    except (ModuleNotFoundError, ValueError):  # ValueError: a module without a specification was put in its place
        return False


def missing_extra(what: str, library: str, field: str = "", extra: str = "campaign") -> InputError:
    """The error for a part whose library is not installed.

    Args:
        what: the part ("agent kind 'ppo'").
        library: as it is imported.
        field: where the part is named, for the error.
        extra: of Proctor that brings the library.
    """
    problem = f"{what} needs the extra `{extra}` ({library} is not installed)"
    return InputError(problem, field, f"pip install 'proctor[{extra}]'")
