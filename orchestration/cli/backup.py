"""``proctor backup`` and ``proctor restore``: the state of a scheduling service, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.campaign.folder import campaign_home
from orchestration.cli.output import OutputFormat, print_json
from orchestration.runtime.private_files import keep_files_private

if TYPE_CHECKING:
    from orchestration.service.store.backup import Copied, Places

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of all data (env: PROCTOR_HOME; default: ./proctor-data).")
]
StoreOption = Annotated[
    str, typer.Option("--store", envvar="PROCTOR_STORE", help="A file, or postgresql://... [service.db in the home].")
]
ArtifactsOption = Annotated[
    str,
    typer.Option("--artifacts", envvar="PROCTOR_ARTIFACTS", help="Learner states: a folder or URL [in the home]."),
]
ArchiveOption = Annotated[
    str, typer.Option("--archive", envvar="PROCTOR_ARCHIVE", help="Off-loaded tables: a folder or URL [in the home].")
]
FormatOption = Annotated[OutputFormat, typer.Option("--format", help="How to print.")]


def backup(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A new folder.")],
    home: HomeOption = None,
    store: StoreOption = "",
    artifacts: ArtifactsOption = "",
    archive: ArchiveOption = "",
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Copy the state of a service into a new folder. The service may run; the copy shows a single moment."""
    from orchestration.service.store.backup import back_up

    keep_files_private()
    copied = back_up(places_of(home, store, artifacts, archive), destination.expanduser().absolute())
    _print("backed up to", destination, copied, output_format)


def restore(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A folder that `proctor backup` made.")],
    home: HomeOption = None,
    store: StoreOption = "",
    artifacts: ArtifactsOption = "",
    archive: ArchiveOption = "",
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Put a backup into an empty service. A damaged backup is refused before anything is written."""
    from orchestration.service.store.restoring import restore_backup

    keep_files_private()
    copied = restore_backup(source.expanduser().absolute(), places_of(home, store, artifacts, archive))
    _print("restored from", source, copied, output_format)


def places_of(home: Path | None, store: str, artifacts: str, archive: str) -> Places:
    """Where a service keeps its state; by default in the home."""
    from orchestration.service.settings import ServiceSettings
    from orchestration.service.store.backup import Places

    default = ServiceSettings.in_folder(campaign_home(home))
    return Places(store or default.store_url, artifacts or default.artifact_url, archive or default.archive_url)


def _print(verb: str, folder: Path, copied: Copied, output_format: OutputFormat) -> None:
    if output_format is OutputFormat.JSON:
        counts = {"rows": copied.rows, "states": copied.states, "archived": copied.archived, "bytes": copied.size}
        print_json({"folder": str(folder), **counts})
        return
    rows = ", ".join(f"{count} {name}" for name, count in copied.rows.items())
    print(f"{verb} {folder}: {rows}, {copied.states} saved states, {copied.archived} archived pieces")
