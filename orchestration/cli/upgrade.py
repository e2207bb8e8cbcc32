"""``proctor upgrade``: a service's store, from an older version of Proctor to this one."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.campaign.folder import campaign_home
from orchestration.cli.backup import ArchiveOption, ArtifactsOption, FormatOption, HomeOption, StoreOption, places_of
from orchestration.cli.output import OutputFormat, print_json
from orchestration.runtime.private_files import keep_files_private

if TYPE_CHECKING:
    from orchestration.service.store.examining import Examined
    from orchestration.service.store.upgrading import Upgraded


def upgrade(
    check: Annotated[
        bool, typer.Option("--check", help="Read everything, change nothing, and say what is due.")
    ] = False,
    backup: Annotated[
        Path | None,
        typer.Option("--backup", help="A new folder for the backup [backups/before-upgrade-TIME in the home]."),
    ] = None,
    home: HomeOption = None,
    store: StoreOption = "",
    artifacts: ArtifactsOption = "",
    archive: ArchiveOption = "",
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Upgrade the store of a service, after a backup. What cannot be read is refused before anything is changed."""
    from orchestration.service.store.examining import examine
    from orchestration.service.store.upgrading import upgrade as upgraded

    places = places_of(home, store, artifacts, archive)
    if check:
        _print_check(examine(places), output_format)
        return
    keep_files_private()
    folder = backup or campaign_home(home) / "backups" / f"before-upgrade-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder = folder.expanduser().absolute()
    _print_upgrade(upgraded(places, folder), folder, output_format)


def _print_check(examined: Examined, output_format: OutputFormat) -> None:
    if output_format is OutputFormat.JSON:
        print_json(_fields(examined))
        return
    print("\n".join(_lines(examined)))
    print(*(f"due       {step}" for step in examined.migrations or ("nothing, the store is current",)), sep="\n")


def _print_upgrade(done: Upgraded, folder: Path, output_format: OutputFormat) -> None:
    if output_format is OutputFormat.JSON:
        backup = str(folder) if done.backup is not None else None
        print_json({**_fields(done.examined), "backup": backup, "saved": done.saved, "unsaved": done.unsaved})
        return
    print("\n".join(_lines(done.examined)))
    if done.backup is None:
        print("done      nothing, the store is current")
        return
    print(f"backup    {folder}")
    print(f"saved     the states of {len(done.saved)} agents")
    for name, reason in done.unsaved.items():
        print(f"not saved {name}: {reason}; its log has everything")
    print(*(f"done      {step}" for step in done.examined.migrations), sep="\n")


def _lines(examined: Examined) -> list[str]:
    """What the store holds, for people."""
    formats = ", ".join(
        f"{kind} {entry.newest if entry.oldest == entry.newest else f'{entry.oldest} to {entry.newest}'}"
        for kind, entry in examined.formats.items()
    )
    payloads = ", ".join(f"{count} {kind}" for kind, count in examined.payloads.items() if count)
    lost = f"; {examined.lost_states} cannot, the log has what they held" if examined.lost_states else ""
    return [
        f"store     {examined.store}, tables of revision {examined.revision}",
        f"written   by Proctor {', '.join(examined.writers)}",
        f"formats   {formats}",
        f"payloads  all can be read: {payloads}",
        f"states    {examined.states} can be read{lost}",
    ]


def _fields(examined: Examined) -> dict[str, Any]:
    """What the store holds, as JSON."""
    return {**asdict(examined), "writers": examined.writers, "is_current": not examined.migrations}
