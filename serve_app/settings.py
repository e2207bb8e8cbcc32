"""What the application is started with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from envsearch.errors import InputError
from orchestration.service.api.decoding import violation
from orchestration.service.settings import ServiceSettings


class ServiceArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of the application: `args` of a Serve config file, of ``serve run``, or from ``proctor serve``.

    Attributes:
        home: folder of all data where nothing else is said; default ``PROCTOR_HOME``, then ``proctor-data``.
        store: agents and their logs; default ``PROCTOR_STORE``, then a SQLite file in the home.
        artifacts: saved learner states; default ``PROCTOR_ARTIFACTS``, then a folder in the home.
        archive: what is off-loaded to Parquet; default ``PROCTOR_ARCHIVE``, then a folder in the home.
        tracking: MLflow tracking URI; default ``PROCTOR_TRACKING``, then none.
        max_live: most owners of agents alive at a time.
        shards: owners that share all agents; 0: an owner for each.
        idle_seconds: after which an unused owner goes to sleep.
        namespace: of Ray, for the owners' names.
        replicas: processes that answer HTTP.
        kept_days: episodes that are older leave the store for the archive; 0: only their number matters.
        import_paths: custom agent kinds, rewards and explorations that clients may name (``module:Class``).
    """

    home: str = ""
    store: str = ""
    artifacts: str = ""
    archive: str = ""
    tracking: str = ""
    max_live: Annotated[int, Meta(ge=1)] = 40
    shards: Annotated[int, Meta(ge=0)] = 0
    idle_seconds: Annotated[float, Meta(gt=0)] = 900.0
    namespace: str = "proctor"
    replicas: Annotated[int, Meta(ge=1, le=64)] = 1
    kept_days: Annotated[int, Meta(ge=0)] = 0
    import_paths: tuple[str, ...] = ()

    def service_settings(self) -> ServiceSettings:
        """For the service; paths become absolute, because replicas run in another folder."""
        home = Path(self.home or os.environ.get("PROCTOR_HOME") or "proctor-data")
        urls = {
            "store_url": self.store or os.environ.get("PROCTOR_STORE"),
            "artifact_url": self.artifacts or os.environ.get("PROCTOR_ARTIFACTS"),
            "archive_url": self.archive or os.environ.get("PROCTOR_ARCHIVE"),
        }
        return ServiceSettings.in_folder(
            home,
            **{name: _absolute(value) for name, value in urls.items() if value},
            tracking=self.tracking or os.environ.get("PROCTOR_TRACKING", ""),
            max_live=self.max_live,
            shards=self.shards,
            idle_seconds=self.idle_seconds,
            namespace=self.namespace,
            kept_days=self.kept_days,
            import_paths=self.import_paths,
        )


def _absolute(url: str) -> str:
    return url if "://" in url else str(Path(url).expanduser().absolute())


def checked_arguments(arguments: dict[str, Any]) -> ServiceArguments:
    """The arguments.

    Raises:
        InputError: one is unknown, or of the wrong type.
    """
    try:
        return msgspec.convert(arguments, ServiceArguments, strict=False)
    except msgspec.ValidationError as error:
        wrong = violation(error)
        raise InputError(wrong.detail, wrong.field, ", ".join(ServiceArguments.__struct_fields__), "args") from error
