"""Several nodes on this machine, controlled through standard input, in a separate process: one Ray node per process.

Prints a line of JSON for every command: ``add CPUS`` -> {"node": ID}, ``lose ID`` -> {}, end of input: everything ends.
The first line has the cluster's address. The head has no CPU.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ray.cluster_utils import Cluster

OBJECT_STORE_BYTES = 100_000_000


def main() -> None:
    """Serve commands until the input ends."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False},
    )
    nodes: dict[str, Any] = {}
    _tell({"address": cluster.address})
    try:
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "add":
                node = cluster.add_node(num_cpus=int(argument), object_store_memory=OBJECT_STORE_BYTES)
                nodes[node.node_id] = node
                _tell({"node": node.node_id})
            elif command == "lose":
                cluster.remove_node(nodes.pop(argument), allow_graceful=False)
                _tell({})
    finally:
        cluster.shutdown()


def _tell(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
