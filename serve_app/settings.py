"""What the application is started with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envsearch.errors import InputError
from orchestration.service.service import ServiceSettings


class ServiceArguments(BaseModel):
    """Arguments of the application: `args` of a Serve config file, of ``serve run``, or from ``proctor serve``.

    Attributes:
        home: folder of all data where nothing else is said; default ``PROCTOR_HOME``, then ``proctor-data``.
        store: agents and their logs; default ``PROCTOR_STORE``, then a SQLite file in the home.
        artifacts: saved learner states; default ``PROCTOR_ARTIFACTS``, then a folder in the home.
        archive: what is off-loaded to Parquet; default ``PROCTOR_ARCHIVE``, then a folder in the home.
        tracking: MLflow tracking URI; default ``PROCTOR_TRACKING``, then none.
        max_live: most owners of agents alive at a time.
        shards: owners that share all agents; 0: an owner for each.
        idle_seconds: owners that are not used for so long go to sleep.
        namespace: of Ray, for the owners' names.
        replicas: processes that answer HTTP.
        import_paths: custom agent kinds, rewards and explorations that clients may name (``module:Class``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: str = ""
    store: str = ""
    artifacts: str = ""
    archive: str = ""
    tracking: str = ""
    max_live: Annotated[int, Field(ge=1)] = 40
    shards: Annotated[int, Field(ge=0)] = 0
    idle_seconds: Annotated[float, Field(gt=0)] = 900.0
    namespace: str = "proctor"
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    import_paths: tuple[str, ...] = ()

    def service_settings(self) -> ServiceSettings:
        """For the service; paths become absolute, because replicas run in another folder."""
        home = Path(self.home or os.environ.get("PROCTOR_HOME") or "proctor-data")
        told = {
            "store_url": self.store or os.environ.get("PROCTOR_STORE"),
            "artifact_url": self.artifacts or os.environ.get("PROCTOR_ARTIFACTS"),
            "archive_url": self.archive or os.environ.get("PROCTOR_ARCHIVE"),
        }
        return ServiceSettings.in_folder(
            home,
            **{name: _absolute(value) for name, value in told.items() if value},
            tracking=self.tracking or os.environ.get("PROCTOR_TRACKING", ""),
            max_live=self.max_live,
            shards=self.shards,
            idle_seconds=self.idle_seconds,
            namespace=self.namespace,
            import_paths=self.import_paths,
        )


def _absolute(url: str) -> str:
    return url if "://" in url else str(Path(url).expanduser().absolute())


def checked_arguments(arguments: dict[str, Any]) -> ServiceArguments:
    """The arguments.

    Raises:
        InputError: one is not known, or of the wrong type.
    """
    try:
        return ServiceArguments.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"], field, ", ".join(ServiceArguments.model_fields), "args") from error
