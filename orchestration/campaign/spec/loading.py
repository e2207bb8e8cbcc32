"""A spec file -> `CampaignSpec`; every mistake is one `InputError` with file and dotted field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from envsearch.errors import InputError, unknown_name
from orchestration.campaign.spec.model import CampaignSpec
from orchestration.campaign.spec.yaml_source import parse_yaml, read_yaml

EXPECTED = {
    "seeds": "a number of seeds (at least 1), a list of seeds (each at least 0), auto, or {looks: [6, 10, 15, 20]}",
    "seeds.looks": "rising numbers of agents, as [6, 10, 15, 20]",
    "seeds.healthy": "a number of agents, at least that of the last look",
    "sanity.threshold": "a number, preset or off",
    "operators": "a list of operators, each a name or a mapping",
    "margins.mean": "a share above 0 and below 1, as 0.05",
    "margins.collapsed": "a share above 0 and below 1, as 0.1",
    "margins.scale": "a reward above 0, or healthy",
}
"""What a field takes, where the validator's own message (one per branch of a union) would confuse."""


def experiment_names() -> tuple[str, ...]:
    """Specs that come with the package, by name."""
    folder = resources.files("orchestration.campaign.experiments")
    own = [entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    paper = [f"paper/{entry.name[:-5]}" for entry in folder.joinpath("paper").iterdir() if entry.name.endswith(".yaml")]
    return (*sorted(own), *sorted(paper))


def load_spec(path: str | Path) -> CampaignSpec:
    """The spec in a YAML file, or the one of that name that comes with the package (``demo``, ``cartpole_ppo``).

    Raises:
        InputError: the file or a field is wrong; the message names both.
    """
    file = Path(path)
    name = str(path)
    if not file.exists() and name in experiment_names():
        text = (
            resources.files("orchestration.campaign.experiments").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        )
        return parse_spec(parse_yaml(text, f"{name}.yaml"), f"{name}.yaml", name)
    if not file.exists():
        raise InputError("no such file", expected=f"a YAML file or one of {', '.join(experiment_names())}", source=name)
    return parse_spec(read_yaml(file), name, file.stem)


def parse_spec(content: Mapping[str, Any], source: str = "spec", name: str = "") -> CampaignSpec:
    """The spec in a mapping, as it comes from YAML.

    Args:
        content: the fields.
        source: the file, for errors.
        name: of the campaign if the spec has none.

    Raises:
        InputError: an unknown field (with the nearest known one) or a value that a field does not take.
    """
    fields = _normalised(content)
    _refuse_unknown_fields(CampaignSpec, fields, "", source)
    try:
        spec = CampaignSpec.model_validate(fields)
    except ValidationError as error:
        raise _input_error(_most_precise(error, fields), fields, source) from None
    return spec if spec.name else spec.model_copy(update={"name": name or "campaign"})


def _normalised(content: Mapping[str, Any]) -> dict[str, Any]:
    """Short forms spelled out: ``environment: NAME`` and ``environment: {id: NAME}``."""
    fields = dict(content)
    environment = fields.get("environment")
    if isinstance(environment, str):
        fields["environment"] = {"name": environment}
    elif isinstance(environment, dict) and "id" in environment and "name" not in environment:
        fields["environment"] = {"name": environment["id"]} | {k: v for k, v in environment.items() if k != "id"}
    return fields


def _refuse_unknown_fields(model: type[BaseModel], value: Any, path: str, source: str) -> None:
    if not isinstance(value, Mapping):
        return
    known = model.model_fields
    for key, item in value.items():
        place = f"{path}.{key}" if path else str(key)
        if key not in known:
            raise unknown_name("field", str(key), known, place, source)
        inner = _section(known[key].annotation)
        if inner is None:
            continue
        for index, part in enumerate(item) if isinstance(item, list) else ((None, item),):
            _refuse_unknown_fields(inner, part, place if index is None else f"{place}[{index}]", source)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model behind an annotation ``Section`` or ``list[Section]``."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _most_precise(error: ValidationError, fields: Mapping[str, Any]) -> ErrorDetails:
    """The complaint about the first wrong field; of several (one per branch of a union), the deepest."""
    details = error.errors()
    same = [detail for detail in details if detail["loc"][0] == details[0]["loc"][0]]
    return max(same, key=lambda detail: len(_dotted(detail["loc"], fields)))


def _input_error(details: ErrorDetails, fields: Mapping[str, Any], source: str) -> InputError:
    """A validator's first complaint as one line."""
    field = _dotted(details["loc"], fields)
    if details["type"] == "missing":
        return InputError("is missing", field, source=source)
    top = field.split("[")[0]
    expected = EXPECTED.get(top, details["msg"].removeprefix("Input should be ").removeprefix("Value error, "))
    return InputError(f"{_short(details['input'])} is not accepted", field, expected, source)


def _dotted(location: Sequence[int | str], fields: Any) -> str:
    """``boundary.limits.cart_mass``, ``seeds[2]``: without the union branches that the validator adds."""
    path, here = "", fields
    for part in location:
        if isinstance(here, Mapping) and (part in here or here is fields or _is_field(part)):
            path, here = (f"{path}.{part}" if path else str(part)), here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            path, here = f"{path}[{part}]", here[part]
    return path


def _is_field(part: int | str) -> bool:
    """Whether a part of a location is a field; the branches of a union are types, as SeedsSection or list[int]."""
    return isinstance(part, str) and part.isidentifier() and part.islower()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
