"""What KubeRay documents of its v1 resources, as JSON schemas: field names, types, what is closed to others.

Pods are checked as far as the manifests use them. Source: KubeRay's API reference for ray.io/v1, read for 1.5.
"""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
TRUTH: dict[str, Any] = {"type": "boolean"}
QUANTITY: dict[str, Any] = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti)?$"}
NAME: dict[str, Any] = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"}
TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}


def _closed(required: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "additionalProperties": False, "properties": fields}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": 1}


METADATA = _closed(("name",), name=NAME, namespace=NAME, labels=TEXTS, annotations=TEXTS)

RESOURCES = _closed(
    ("requests", "limits"),
    requests={"type": "object", "additionalProperties": QUANTITY},
    limits={"type": "object", "additionalProperties": QUANTITY},
)

_REFERENCE = _closed(("name",), name=NAME, optional=TRUTH)
_VALUE_FROM = {"type": "object", "minProperties": 1, "maxProperties": 1}
CONTAINER = _closed(
    ("name", "image", "resources"),
    name=NAME,
    image=TEXT,
    imagePullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    command=_list(TEXT),
    args=_list(TEXT),
    env=_list(_closed(("name",), name=TEXT, value={"type": "string"}, valueFrom=_VALUE_FROM)),
    envFrom=_list(_closed((), secretRef=_REFERENCE, configMapRef=_REFERENCE, prefix=TEXT)),
    ports=_list(
        _closed(("containerPort",), containerPort={"type": "integer", "minimum": 1, "maximum": 65535}, name=NAME)
    ),
    resources=RESOURCES,
    volumeMounts=_list(_closed(("name", "mountPath"), name=NAME, mountPath={"type": "string", "pattern": "^/"})),
)

VOLUME = _closed(
    ("name",),
    name=NAME,
    persistentVolumeClaim=_closed(("claimName",), claimName=NAME, readOnly=TRUTH),
    configMap=_REFERENCE,
    secret={"type": "object"},
    emptyDir={"type": "object"},
)

POD_TEMPLATE = _closed(
    ("spec",),
    metadata={"type": "object"},
    spec=_closed(
        ("containers",),
        containers=_list(CONTAINER),
        volumes=_list(VOLUME),
        serviceAccountName=NAME,
        nodeSelector=TEXTS,
        tolerations={"type": "array"},
        restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
    ),
)

HEAD_GROUP = _closed(
    ("template",),
    template=POD_TEMPLATE,
    rayStartParams=TEXTS,
    headService={"type": "object"},
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    enableIngress=TRUTH,
    resources=TEXTS,
    labels=TEXTS,
)

WORKER_GROUP = _closed(
    ("groupName", "template"),
    groupName=NAME,
    template=POD_TEMPLATE,
    rayStartParams=TEXTS,
    replicas=WHOLE,
    minReplicas=WHOLE,
    maxReplicas=WHOLE,
    idleTimeoutSeconds=WHOLE,
    numOfHosts=WHOLE,
    scaleStrategy={"type": "object"},
    suspend=TRUTH,
    resources=TEXTS,
    labels=TEXTS,
)

AUTOSCALER = _closed(
    (),
    idleTimeoutSeconds=WHOLE,
    upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
    version={"enum": ["v1", "v2"]},
    image=TEXT,
    imagePullPolicy=TEXT,
    resources=RESOURCES,
    env={"type": "array"},
    envFrom={"type": "array"},
    securityContext={"type": "object"},
    volumeMounts={"type": "array"},
)

CLUSTER = _closed(
    ("headGroupSpec", "rayVersion", "authOptions"),  # the first is KubeRay's rule, the others are ours
    rayVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    authOptions=_closed(("mode",), mode={"const": "token"}),
    enableInTreeAutoscaling=TRUTH,
    autoscalerOptions=AUTOSCALER,
    gcsFaultToleranceOptions={"type": "object"},
    headServiceAnnotations=TEXTS,
    headGroupSpec=HEAD_GROUP,
    workerGroupSpecs=_list(WORKER_GROUP),
    managedBy=TEXT,
    suspend=TRUTH,
)


def _resource(kind: str, spec: dict[str, Any], version: str = "ray.io/v1") -> dict[str, Any]:
    fields = ("apiVersion", "kind", "metadata", "spec")
    return _closed(fields, apiVersion={"const": version}, kind={"const": kind}, metadata=METADATA, spec=spec)


SCHEMAS: dict[str, dict[str, Any]] = {
    "RayCluster": _resource("RayCluster", CLUSTER),
    "RayJob": _resource(
        "RayJob",
        _closed(
            ("entrypoint", "rayClusterSpec"),
            entrypoint=TEXT,
            rayClusterSpec=CLUSTER,
            entrypointNumCpus={"type": "number", "minimum": 0},
            entrypointNumGpus={"type": "number", "minimum": 0},
            entrypointResources=TEXT,
            runtimeEnvYAML=TEXT,
            jobId=TEXT,
            submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
            submitterPodTemplate={"type": "object"},
            submitterConfig=_closed((), backoffLimit=WHOLE),
            clusterSelector=TEXTS,
            activeDeadlineSeconds={"type": "integer", "minimum": 1},
            backoffLimit=WHOLE,
            shutdownAfterJobFinishes=TRUTH,
            ttlSecondsAfterFinished=WHOLE,
            deletionStrategy={"type": "object"},
            managedBy=TEXT,
            metadata=TEXTS,
            suspend=TRUTH,
        ),
    ),
    "RayService": _resource(
        "RayService",
        _closed(
            ("serveConfigV2", "rayClusterConfig"),
            serveConfigV2=TEXT,
            rayClusterConfig=CLUSTER,
            serveService={"type": "object"},
            upgradeStrategy={"type": "object"},
            excludeHeadPodFromServeSvc=TRUTH,
            rayClusterDeletionDelaySeconds=WHOLE,
            suspend=TRUTH,
        ),
    ),
    "PersistentVolumeClaim": _resource(
        "PersistentVolumeClaim",
        _closed(
            ("accessModes", "resources"),
            accessModes=_list({"enum": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"]}),
            resources=_closed(("requests",), requests={"type": "object", "additionalProperties": QUANTITY}),
            storageClassName=NAME,
        ),
        "v1",
    ),
}
"""Kind -> schema."""
