"""The table of commands. A command's module is imported when it is called, so that help appears at once."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

COMMANDS: dict[str, tuple[str, str, str]] = {
    "campaign": ("orchestration.cli.campaign", "campaign", "Run a mutation campaign, plan it, or show what it found."),
    "demo": ("orchestration.cli.demo", "demo", "Show both halves: a small campaign, and the scheduling service."),
    "judge": (
        "orchestration.cli.judge",
        "judge",
        "Show which mutants the kill tests can distinguish from healthy agents.",
    ),
    "classify": (
        "orchestration.cli.classify",
        "classify",
        "Show how higher-order mutants relate to their parts.",
    ),
    "serve": ("orchestration.cli.serve", "serve", "Start the scheduling service on this machine."),
    "deploy": ("orchestration.cli.deploy", "deploy", "Deploy the scheduling service on a running Ray cluster."),
    "smoke": ("orchestration.cli.smoke", "smoke", "Run the whole protocol against a service and report what works."),
    "tune": ("orchestration.cli.tune", "tune", "Search hyper-parameters around a preset, with Ray Tune."),
    "tune-agent": (
        "orchestration.cli.tune_agent",
        "tune_agent",
        "Search hyper-parameters of a scheduling agent on CI histories.",
    ),
    "replay": ("orchestration.cli.replay", "replay", "Measure scheduling agents on a CI history."),
    "record": ("orchestration.cli.record", "record", "Run a test command and append the run to a CI history."),
    "check": ("orchestration.cli.check", "check", "Run the contract of the built-in parts on a part of your own."),
    "token": ("orchestration.cli.token", "token", "Create, rotate, revoke and list the tokens of a service."),
    "audit": ("orchestration.cli.audit", "audit", "Show who changed agents and tokens, or export it."),
    "doctor": (
        "orchestration.cli.doctor",
        "doctor",
        "Check what a service and campaigns need here, and say what to fix.",
    ),
    "backup": ("orchestration.cli.backup", "backup", "Copy the state of a service into a folder."),
    "restore": ("orchestration.cli.backup", "restore", "Put a backup into an empty service."),
    "upgrade": ("orchestration.cli.upgrade", "upgrade", "Upgrade the store of a service, or check whether it can be."),
    "operators": ("orchestration.cli.tables", "operators", "List the mutation operators."),
    "environments": ("orchestration.cli.tables", "environments", "List the environments and their parameters."),
    "kill-tests": ("orchestration.cli.tables", "kill_tests", "List the kill tests."),
    "presets": ("orchestration.cli.tables", "presets", "List the presets, each number with its source."),
}
"""The explicit table: command -> (module, function or group, one line of help)."""


class CommandTable(TyperGroup):
    """A group whose commands are loaded only when called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Replace a command's placeholder by the real command."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, loaded(name) if name in COMMANDS else command, rest


def loaded(name: str) -> Any:
    """The command behind a name of the table, imported."""
    module, attribute, _ = COMMANDS[name]
    function = getattr(import_module(module), attribute)
    if isinstance(function, typer.Typer):
        command = typer.main.get_command(function)
    else:
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name)(function)
        command = typer.main.get_command(single)
    command.name = name
    return command


def _version(requested: bool) -> None:
    if requested:
        from importlib import metadata

        typer.echo(f"proctor {metadata.version('proctor')}")
        raise typer.Exit


app = typer.Typer(
    cls=CommandTable,
    help="Mutation testing of deep-RL agents, and RL agents that schedule tests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def proctor(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Mutation testing of deep-RL agents, and RL agents that schedule tests."""


def _named(name: str, summary: str) -> Callable[[], None]:
    def stand_in() -> None:
        """Never called: `CommandTable` loads the real command."""

    app.command(name, help=summary)(stand_in)
    return stand_in


for _name, (_module, _attribute, _summary) in COMMANDS.items():
    _named(_name, _summary)
