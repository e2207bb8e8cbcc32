"""``proctor doctor``: does this installation have what a service and campaigns need, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from orchestration.campaign.folder import campaign_home
from orchestration.cli.backup import ArchiveOption, ArtifactsOption, HomeOption, StoreOption
from orchestration.cli.output import OutputFormat, print_json


def doctor(
    home: HomeOption = None,
    store: StoreOption = "",
    artifacts: ArtifactsOption = "",
    archive: ArchiveOption = "",
    output_format: Annotated[OutputFormat, typer.Option("--format", help="How to print.")] = OutputFormat.TABLE,
) -> None:
    """Check versions, disk, store, tracking, Ray and tokens; exit code 1 if something is wrong."""
    from orchestration.cli.diagnosis import Installation, diagnose
    from orchestration.service.settings import ServiceSettings

    place = campaign_home(home)
    default = ServiceSettings.in_folder(place)
    installation = Installation(
        place, store or default.store_url, artifacts or default.artifact_url, archive or default.archive_url
    )
    findings = list(diagnose(installation))
    if output_format is OutputFormat.JSON:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            fix = f"; fix: {finding.fix}" if finding.fix else ""
            print(f"{'ok   ' if finding.ok else 'wrong'} {finding.check:9} {finding.detail}{fix}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
