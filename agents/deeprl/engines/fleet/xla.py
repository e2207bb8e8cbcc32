"""JAX's settings for a worker process: one thread, double precision allowed, compiled programs kept on disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

CACHE_VARIABLE = "PROCTOR_COMPILATION_CACHE"
"""Folder of compiled programs; ``off`` keeps none. Default: ``proctor/xla`` in the user's cache folder."""

_FLAGS = ("--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1")


def configure() -> None:
    """Set the process up; what the user has set himself stays.

    XLA reads its thread settings once, when its CPU backend starts, so this must run before the first computation.
    """
    for name, value in (("JAX_PLATFORMS", "cpu"), ("NPROC", "1"), ("PJRT_NPROC", "1")):
        os.environ.setdefault(name, value)
    flags = os.environ.get("XLA_FLAGS", "")
    missing = [flag for flag in _FLAGS if flag.split("=")[0] not in flags]
    os.environ["XLA_FLAGS"] = " ".join([flags, *missing]).strip()

    import jax

    settings: dict[str, object] = {"jax_enable_x64": True}
    folder = cache_folder()
    if folder is not None:
        settings |= {
            "jax_compilation_cache_dir": str(folder),
            "jax_persistent_cache_min_compile_time_secs": 0.2,
            "jax_persistent_cache_min_entry_size_bytes": -1,
        }
    for setting, chosen in settings.items():
        jax.config.update(setting, chosen)  # type: ignore[no-untyped-call]


def cache_folder() -> Path | None:
    """Where compiled programs are kept; None: nowhere, because it was switched off or no folder can be written."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen == "off":
        return None
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(chosen) if chosen else base / "proctor" / "xla"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None  # compiling again is slower but correct
