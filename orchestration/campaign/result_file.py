"""`CampaignResult` as JSON and back, and the canonical form of its tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from envsearch.errors import CorruptArtifactError
from orchestration.campaign.result import CampaignResult

NOT_COMPARED = ("name", "provenance")
"""Fields of a result that may differ between two runs of one spec."""


def encode(value: Any) -> Any:
    """Plain data for strict JSON; infinity and NaN, which JSON lacks, become their names."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str):
        return str(value)
    return value


def result_json(result: CampaignResult) -> str:
    """The whole result, provenance included, as readable JSON."""
    return json.dumps(encode(result), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def result_tables(result: CampaignResult) -> str:
    """What a campaign found, as canonical JSON: the same spec gives the same text, byte for byte, on one machine type.

    Times, dates, versions and the number of reused items are left out.
    """
    tables = {name: item for name, item in encode(result).items() if name not in NOT_COMPARED}
    for population in tables["populations"]:
        del population["train_seconds"], population["cpu_seconds"]
    return json.dumps(tables, sort_keys=True, separators=(",", ":"), allow_nan=False)


def read_result(path: Path) -> CampaignResult:
    """The result in a file that `result_json` wrote.

    Raises:
        FileNotFoundError: there is none.
        CorruptArtifactError: the file is not a result.
    """
    try:
        return _adapter().validate_python(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            raise _wrong(error, path) from error
        raise CorruptArtifactError("is cut short or not JSON", "", "a campaign's result.json", str(path)) from error


def _wrong(error: ValidationError, path: Path) -> CorruptArtifactError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return CorruptArtifactError(first["msg"], place, "a campaign's result.json", str(path))


@cache
def _adapter() -> TypeAdapter[CampaignResult]:
    return TypeAdapter(CampaignResult)
