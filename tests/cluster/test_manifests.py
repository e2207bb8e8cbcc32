"""cluster.yaml by Ray's own schema, the Kubernetes manifests by KubeRay's documented fields; broken copies fail."""

from __future__ import annotations

import copy
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema

from orchestration.campaign.spec.loading import load_spec
from serve_app.settings import checked_arguments

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = {
    path.name: list(yaml.safe_load_all(path.read_text())) for path in sorted((ROOT / "deploy").glob("ray*.yaml"))
}


def _schemas() -> dict[str, dict[str, Any]]:
    spec = spec_from_file_location("kuberay_schema", Path(__file__).with_name("kuberay_schema.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    schemas: dict[str, dict[str, Any]] = module.SCHEMAS
    return schemas


SCHEMAS = _schemas()


def _check_manifest(document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMAS[document["kind"]]).validate(document)


def _cluster() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return config


def _check_cluster(config: dict[str, Any]) -> None:
    validate_config(prepare_config(config))


def _serve_config(document: dict[str, Any]) -> ServeDeploySchema:
    raw = yaml.safe_load(document["spec"]["serveConfigV2"])
    for application in raw["applications"]:  # Serve itself lets unknown names pass
        assert application.keys() <= ServeApplicationSchema.model_fields.keys()
    assert raw.keys() <= ServeDeploySchema.model_fields.keys()
    return ServeDeploySchema.model_validate(raw)


# -- cluster.yaml -----------------------------------------------------------------------------------------------------


def test_the_cluster_is_one_that_ray_up_takes() -> None:
    _check_cluster(_cluster())


def _unknown(config: dict[str, Any]) -> None:
    config["max_worker"] = 3


def _text_for_number(config: dict[str, Any]) -> None:
    config["max_workers"] = "three"


def _no_head(config: dict[str, Any]) -> None:
    del config["head_node_type"]


def _head_of_no_type(config: dict[str, Any]) -> None:
    config["head_node_type"] = "queen"


def _half_a_core(config: dict[str, Any]) -> None:
    config["available_node_types"]["worker"]["resources"] = {"CPU": 0.5}


def _more_at_least_than_at_most(config: dict[str, Any]) -> None:
    config["available_node_types"]["worker"]["min_workers"] = config["max_workers"] + 1


def _nowhere(config: dict[str, Any]) -> None:
    del config["provider"]


def _one_command(config: dict[str, Any]) -> None:
    config["setup_commands"] = "pip install proctor"


BROKEN_CLUSTERS = (
    *(_unknown, _text_for_number, _no_head, _head_of_no_type, _half_a_core, _more_at_least_than_at_most),
    *(_nowhere, _one_command),
)


@pytest.mark.parametrize("breaking", BROKEN_CLUSTERS)
def test_a_broken_cluster_is_refused(breaking: Callable[[dict[str, Any]], None]) -> None:
    broken = _cluster()
    breaking(broken)
    with pytest.raises(Exception):  # noqa: B017 - Ray raises several kinds, none of them its own
        _check_cluster(broken)


def test_the_cluster_asks_for_the_token_on_every_node_and_is_private() -> None:
    config = _cluster()
    for kind in ("head", "worker"):
        (start,) = [line for line in config[f"{kind}_start_ray_commands"] if "ray start" in line]
        assert start.startswith("umask 077; ")
        assert "RAY_AUTH_MODE=token" in start
        assert "RAY_USAGE_STATS_ENABLED=0" in start
        assert "object-store-memory" in start
    assert any(path.endswith("/.ray/auth_token") for path in config["file_mounts"])
    head = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head
    assert "PROCTOR_STORE=" in head


def test_the_cluster_is_set_up_from_the_lock() -> None:
    config = _cluster()
    assert any("--requirement" in line and "requirements.lock" in line for line in config["setup_commands"])
    assert (ROOT / "requirements.lock").is_file()
    locked = re.search(r"^ray\S*==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert f":{locked[1]}-py" in config["docker"]["image"]
    assert f"py3{sys.version_info.minor}" in config["docker"]["image"]


def test_every_field_of_the_cluster_has_a_comment_above_it() -> None:
    lines = [line.strip() for line in (ROOT / "cluster.yaml").read_text().splitlines()]
    fields = [number for number, line in enumerate(lines) if re.match(r"^[\w/~.]+:", line)]
    assert len(fields) > 30
    assert [lines[number] for number in fields if not lines[number - 1].startswith("#")] == []


# -- Kubernetes -------------------------------------------------------------------------------------------------------


def test_there_is_a_job_and_a_service() -> None:
    kinds = {document["kind"] for documents in MANIFESTS.values() for document in documents}
    assert {"RayJob", "RayService"} <= kinds


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, documents in MANIFESTS.items():
        for document in documents:
            yield name, document


@pytest.mark.parametrize(("name", "document"), list(_documents()))
def test_a_manifest_has_the_documented_fields(name: str, document: dict[str, Any]) -> None:
    _check_manifest(document)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from _paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*path, index))


FREE = ("labels", "annotations", "rayStartParams", "requests", "limits")
"""Maps whose keys are anybody's."""


@pytest.mark.parametrize(("name", "document"), list(_documents()))
def test_a_misspelt_field_anywhere_is_refused(name: str, document: dict[str, Any]) -> None:
    for path in _paths(document):
        if any(part in FREE for part in path[:-1]):
            continue
        broken = copy.deepcopy(document)
        holder: Any = broken
        for part in path[:-1]:
            holder = holder[part]
        holder[f"{path[-1]}x"] = holder.pop(path[-1])
        with pytest.raises((jsonschema.ValidationError, KeyError)):
            _check_manifest(broken)


def _clusters() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, document in _documents():
        for field in ("rayClusterSpec", "rayClusterConfig"):
            if field in document["spec"]:
                yield name, document["spec"][field]


@pytest.mark.parametrize(("name", "cluster"), list(_clusters()))
def test_kubernetes_clusters_run_the_ray_of_the_lock_with_a_token(name: str, cluster: dict[str, Any]) -> None:
    assert cluster["rayVersion"] == metadata.version("ray")
    assert cluster["authOptions"] == {"mode": "token"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = {pod["image"] for group in groups for pod in group["template"]["spec"]["containers"]}
    assert len(images) == 1, "all nodes of a cluster run one image"
    for group in groups:
        spec = group["template"]["spec"]
        mounted = {mount["name"] for pod in spec["containers"] for mount in pod.get("volumeMounts", ())}
        assert mounted == {volume["name"] for volume in spec.get("volumes", ())}
        assert all(re.fullmatch("-?[a-z][a-z-]*", key) for key in group["rayStartParams"])
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_claims_that_pods_use_are_there() -> None:
    claims = {
        document["metadata"]["name"] for _, document in _documents() if document["kind"] == "PersistentVolumeClaim"
    }
    used = re.findall(r"claimName: (\S+)", "".join((ROOT / "deploy" / name).read_text() for name in MANIFESTS))
    assert set(used) <= claims


def test_the_jobs_command_exists() -> None:
    (job,) = [document for _, document in _documents() if document["kind"] == "RayJob"]
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:2] == ["python", "-m"]
    assert find_spec(f"{words[2]}.__main__") is not None
    assert words[3:5] == ["campaign", "run"]
    load_spec(words[5])
    from typer.testing import CliRunner

    from orchestration.cli.app import app

    help_page = CliRunner().invoke(app, [*words[3:5], "--help"])
    assert all(word in help_page.output for word in words[6:] if word.startswith("--"))


def test_the_services_configuration_is_one_that_serve_takes() -> None:
    (service,) = [document for _, document in _documents() if document["kind"] == "RayService"]
    config = _serve_config(service)
    (application,) = config.applications
    module, _, attribute = application.import_path.partition(":")
    assert hasattr(__import__(module, fromlist=[attribute]), attribute)
    arguments = checked_arguments(dict(application.args))
    (deployment,) = application.deployments
    assert deployment.num_replicas == arguments.replicas
    assert deployment.max_ongoing_requests == 2000
    assert not {"store", "artifacts", "archive"} & application.args.keys(), "passwords come from the secret"
    broken = copy.deepcopy(service)
    broken["spec"]["serveConfigV2"] = service["spec"]["serveConfigV2"].replace("import_path", "import_paths")
    with pytest.raises((ValueError, AssertionError)):
        _serve_config(broken)


def test_the_image_holds_all_packages() -> None:
    copied = re.findall(r"^COPY --chown=ray:users (.*)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    sources = {word for line in copied for word in line.split()[:-1]}
    assert {"envsearch", "agents", "mutations", "orchestration", "serve_app", "requirements.lock"} <= sources
    assert all((ROOT / source).exists() for source in sources)
