"""The commands in the order of the help: where each is declared, and its line in the help.

`--help` reads nothing but this table, and a command is imported when it is called.
`tests/commands/test_help.py` compares the table with the commands themselves.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One command, or one group of commands."""

    folder: str
    """`scanner/commands/<folder>/command.py` declares it."""
    summary: str
    """The first paragraph of its help."""

    @property
    def module(self) -> str:
        """The module that registers it in `console.app`."""
        return f"scanner.commands.{self.folder}.command"


COMMANDS = {
    "init": Row(
        "init",
        "Find ComfyUI, look at its folders for ten seconds, and write a settings file.",
    ),
    "run": Row("run", "Scan on a schedule until stopped."),
    "scan": Row("scan", "Scan once and end, for cron."),
    "status": Row(
        "status",
        "Show whether everything is fine: what is scanned, what is wrong, and what changed today.",
    ),
    "changes": Row("changes", "Print what changed, by day, oldest first."),
    "history": Row("history", "Show how the folders grew, from what each day of UTC left."),
    "find": Row("find", "Search the inventory."),
    "packs": Row("packs", "List the node packs with their versions and sources."),
    "roots": Row("roots", "List the folders to scan, with their state if it is known."),
    "doctor": Row(
        "doctor",
        "Examine the mount, speed and scan cost of folders, and recommend settings.",
    ),
    "tune": Row(
        "tune",
        "Measure what scans every 5 s to 1 h cost here, and recommend an interval.",
    ),
    "accept": Row(
        "accept",
        "Confirm deletions that are held back, or drop what cannot be reached any more.",
    ),
    "duplicates": Row(
        "duplicates",
        "List files of the same content and the space that they waste.",
    ),
    "unused": Row("unused", "List models that no saved workflow names and no output carries."),
    "used-by": Row("used_by", "List the saved workflows and the outputs that name a model."),
    "hash": Row(
        "hashing",
        "Read files whole and keep their hashes: proves duplicates, finds silent damage later.",
    ),
    "verify": Row(
        "hashing",
        "Read hashed files again and compare: finds content that changed though size and time"
        " did not. Exits with 1 if there is any.",
    ),
    "export": Row("export", "Write the inventory in the format of another program."),
    "report": Row(
        "report",
        "Write one page about everything: space, problems, copies, changes, packs and drives.",
    ),
    "serve": Row("serve", "Show the inventory as a page in the browser, with an API for programs."),
    "notify": Row(
        "notify",
        "Send a test event to on_event, webhook and healthcheck, and say what happened.",
    ),
    "metrics": Row("metrics", "Print numbers of the last scan in the text format of Prometheus."),
    "schema": Row(
        "schema",
        "Print the JSON Schema of the inventory, of a line of the change list, of the status "
        "file, of a line of the history, of what `export --format lock` writes, of what "
        "`webhook` gets, of what commands print with --json, or of the data of "
        "`workflow check --json`.",
    ),
    "workflow": Row("workflow", "What workflows need, and whether it is here."),
    "config": Row("config", "Show the settings and where they come from."),
    "service": Row(
        "service",
        "Let the system start `run`: systemd, launchd or Windows' Task Scheduler.",
    ),
    "comfyui": Row("comfyui", "The panel inside ComfyUI: install it, remove it."),
    "fleet": Row("fleet", "Questions to the inventories of many machines."),
}
"""Commands and groups of commands, by name."""
