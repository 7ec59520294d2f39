"""The service managers: where each one keeps a service, what the file holds, what it is told."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from string import Template
from xml.sax.saxutils import escape

from scanner.commands.service.definition import Definition
from scanner.settings.sources import shipped_folder

NAME = "comfy-inventory"
"""The name of the service."""

LABEL = "local.comfy-inventory"
"""Its name in launchd."""

MARK = "Written by: comfy-inventory service install"
"""Every file that this program wrote for a service holds this."""

PLAIN = re.compile(r"[A-Za-z0-9/_.,:=@+-]+")
"""Words that mean the same to systemd with and without quotes."""

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manager:
    """One service manager, and the one service of ours that it keeps."""

    tool: str
    """The program that controls it."""
    path: str
    """The file that defines the service."""
    template: str
    """The name of the data file in `config/service`."""
    fields: Callable[[Definition], dict[str, str]]
    """The values for the template."""
    start: tuple[Command, ...]
    """The commands after the file was written."""
    query: Command
    """Prints the state. Its exit code is 0 if the service runs, elsewhere than in systemd if the
    manager knows it."""
    end: tuple[Command, ...] = ()
    """Ends a service that may run; these commands may fail."""
    stop: tuple[Command, ...] = ()
    """The commands after `end` and before the file is removed."""
    forget: tuple[Command, ...] = ()
    """The commands after the file was removed."""
    patience: float = 0.0
    """Seconds in which `start` may fail, because what was ended is still there."""
    logs: Command = ()
    """Prints the log; empty if the log is the file `log_file`."""
    log_file: str = ""
    encoding: str = "utf-8"

    def text(self, definition: Definition) -> str:
        """The content of the file."""
        template = (shipped_folder() / "service" / self.template).read_text(encoding="utf-8")
        return Template(template).substitute(self.fields(definition))


# systemd


def systemd_word(text: str) -> str:
    """An argument as systemd.service(5) reads it: without specifiers and variables."""
    if PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def systemd_command(command: Iterable[str]) -> str:
    """The value of ExecStart."""
    program, *arguments = command
    # The program's path has specifiers, but no variables: a `$` in it stands for itself.
    return " ".join([systemd_word(program).replace("$$", "$"), *map(systemd_word, arguments)])


def _systemd_fields(definition: Definition) -> dict[str, str]:
    return {
        "command": systemd_command(definition.command),
        "user": definition.user.replace("%", "%%"),
    }


def _systemd(path: str, template: str, scope: Command, journal: Command) -> Manager:
    unit, systemctl = f"{NAME}.service", ("systemctl", *scope)
    reload = (*systemctl, "daemon-reload")
    return Manager(
        tool="systemctl",
        path=path,
        template=template,
        fields=_systemd_fields,
        start=(reload, (*systemctl, "enable", unit), (*systemctl, "restart", unit)),
        stop=((*systemctl, "disable", "--now", unit),),
        forget=(reload,),
        query=(*systemctl, "status", "--no-pager", "--lines=0", unit),
        logs=("journalctl", *journal, "--no-pager"),
    )


def systemd_user(folder: str) -> Manager:
    """The services of a user. `folder` is that of the user's settings, as ~/.config."""
    path = f"{folder}/systemd/user/{NAME}.service"
    return _systemd(path, "user.service", ("--user",), ("--user-unit", NAME))


def systemd_system(folder: str = "/etc/systemd/system") -> Manager:
    """The services of the machine, which start without a login."""
    return _systemd(f"{folder}/{NAME}.service", "system.service", (), ("--unit", NAME))


# launchd


def launchd(home: str, uid: int, log_file: str) -> Manager:
    """The agents of a user on macOS."""
    path = f"{home}/Library/LaunchAgents/{LABEL}.plist"
    domain = f"gui/{uid}"

    def fields(definition: Definition) -> dict[str, str]:
        words = (f"\t\t<string>{escape(word)}</string>" for word in definition.command)
        return {"arguments": "\n".join(words), "log": escape(log_file)}

    return Manager(
        tool="launchctl",
        path=path,
        template="launchd.plist",
        fields=fields,
        end=(("launchctl", "bootout", f"{domain}/{LABEL}"),),
        start=(("launchctl", "bootstrap", domain, path),),
        patience=10.0,
        query=("launchctl", "list", LABEL),
        log_file=log_file,
    )


# Windows


def task_scheduler(folder: str, log_file: str) -> Manager:
    """The tasks of a user on Windows. `folder` is that of our settings."""
    path = f"{folder}\\service.xml"

    def fields(definition: Definition) -> dict[str, str]:
        program, *arguments = definition.command
        if "--log-file" not in arguments:  # there is no console
            arguments += ["--log-file", log_file]
        return {
            "command": escape(program),
            "arguments": escape(subprocess.list2cmdline(arguments)),
            "user": escape(definition.user),
        }

    return Manager(
        tool="schtasks",
        path=path,
        template="task.xml",
        fields=fields,
        end=(("schtasks", "/End", "/TN", NAME),),
        start=(
            ("schtasks", "/Create", "/F", "/TN", NAME, "/XML", path),
            ("schtasks", "/Run", "/TN", NAME),
        ),
        stop=(("schtasks", "/Delete", "/F", "/TN", NAME),),
        query=("schtasks", "/Query", "/FO", "LIST", "/TN", NAME),
        log_file=log_file,
        encoding="utf-16",
    )
