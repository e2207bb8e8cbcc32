"""From what the store and the library say to what the service says, and back."""

from __future__ import annotations

import hashlib
import uuid

from agents.scheduling.scheduler import Scheduler
from agents.scheduling.settings import AgentSettings
from envsearch.errors import InputError
from orchestration.service.errors import InvalidRequestError, invalid
from orchestration.service.owners.messages import MetricsRow, VersionInfo
from orchestration.service.store.codec import metrics_of, restore_of, settings_text
from orchestration.service.store.rows import EventKind, EventRow, RewardRow


def episode_name(agent: str, idempotency_key: str) -> str:
    """Id of a new episode; the same again under the same key."""
    if not idempotency_key:
        return uuid.uuid4().hex
    return hashlib.sha256(f"{agent}\n{idempotency_key}".encode()).hexdigest()[:32]


def checked_settings(settings: AgentSettings) -> str:
    """The settings as text, after an agent was made of them.

    Raises:
        InvalidRequestError: no agent can be made of them.
    """
    try:
        Scheduler(settings)
        return settings_text(settings)
    except InputError as error:
        raise invalid(error) from error
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"a setting is no plain value ({error})", "hyperparameters") from error


def version_info(event: EventRow) -> VersionInfo:
    """A version, by the event that made it."""
    if event.kind == EventKind.REWARD:
        return VersionInfo(event.version, event.subject, None, event.at)
    return VersionInfo(event.version, "", restore_of(event.payload)[0], event.at)


def metrics_row(row: RewardRow) -> MetricsRow:
    """A rewarded episode in the agent's curve."""
    return MetricsRow(
        row.episode_id,
        row.number,
        row.version,
        row.rewarded_at,
        row.tests,
        row.total,
        row.exploration,
        metrics_of(row.metrics),
    )
