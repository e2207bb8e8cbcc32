"""``proctor deploy``: the scheduling service on a running Ray cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from envsearch.errors import InputError

CONFIG = "serve_app/config.yaml"


def deploy(
    config: Annotated[Path, typer.Argument(help="Configuration for Ray Serve.")] = Path(CONFIG),
    address: Annotated[
        str,
        typer.Option(help="URL of the cluster's dashboard (env: RAY_DASHBOARD_ADDRESS, RAY_ADDRESS) [127.0.0.1:8265]."),
    ] = "",
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds until the service must run.")] = 300.0,
) -> None:
    """Deploy the scheduling service on a running Ray cluster, and wait until it runs."""
    from orchestration.runtime.dashboard import Dashboard
    from orchestration.runtime.serve import url_of

    document = read_config(config)
    dashboard = Dashboard.of(address, os.environ)
    print(f"deploying {config} to {dashboard.address}", flush=True)
    dashboard.deploy(document)
    names = tuple(application.get("name", "default") for application in document["applications"])
    dashboard.await_running(names, timeout, lambda line: print(line, flush=True))
    http = document.get("http_options") or {}
    url = url_of(http.get("host", "127.0.0.1"), http.get("port", 8000))
    print(f"service  {url}/v1", f"check    proctor smoke {url}", sep="\n")


def read_config(file: Path) -> dict[str, Any]:
    """The configuration, in the YAML 1.1 that Ray reads: `read_yaml` is for the files of this project.

    Raises:
        InputError: it cannot be read, is not YAML, or has no applications.
    """
    expected = f"a configuration for Ray Serve, such as {CONFIG}"
    try:
        document: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"cannot be read ({reason})", "configuration", expected, str(file)) from error
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise InputError(f"is not YAML ({reason})", "configuration", expected, str(file)) from error
    applications = document.get("applications") if isinstance(document, dict) else None
    if (
        not isinstance(applications, list)
        or not all(isinstance(each, dict) for each in applications)
        or not applications
    ):
        raise InputError("has no applications", "applications", expected, str(file))
    return dict(document)
