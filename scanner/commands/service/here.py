"""The service manager of this machine, and the user that a service runs as."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

from scanner.commands.service.managers import (
    Manager,
    launchd,
    systemd_system,
    systemd_user,
    task_scheduler,
)
from scanner.core.user_folders import config_folder, log_folder
from scanner.errors import SettingsError


def manager_here(is_system: bool, environ: Mapping[str, str] = os.environ) -> Manager:
    """The manager of this system. Raises SettingsError if it has no services of that kind."""
    if is_system and sys.platform in ("win32", "darwin"):
        raise SettingsError("--system is for Linux; here the service is that of your user.")
    if sys.platform == "win32":
        return task_scheduler(config_folder(), f"{log_folder()}\\service.log")
    if sys.platform == "darwin":
        return launchd(_home(), os.getuid(), f"{log_folder()}/service.log")
    if is_system:
        return systemd_system()
    settings = environ.get("XDG_CONFIG_HOME", "")
    return systemd_user(settings if os.path.isabs(settings) else f"{_home()}/.config")


def _home() -> str:
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise SettingsError("Your user has no home folder to install a service in: set HOME.")
    return home


def user_here(is_system: bool, environ: Mapping[str, str] = os.environ) -> str:
    """The user that a service runs as: the present one, or for --system the one who called sudo."""
    if sys.platform == "win32":
        domain, name = environ.get("USERDOMAIN", ""), environ.get("USERNAME", "")
        return f"{domain}\\{name}" if domain else name
    if is_system and os.geteuid() == 0 and environ.get("SUDO_USER"):
        return environ["SUDO_USER"]
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())  # a user id without a name, which systemd takes as well


def lingers(user: str, folder: str = "/var/lib/systemd/linger") -> bool:
    """True if the services of `user` run without a login."""
    return os.path.exists(os.path.join(folder, user))


def need_root(program: Sequence[str], arguments: Sequence[str]) -> None:
    """Raise SettingsError unless this process may write the machine's services."""
    if os.geteuid() != 0:
        again = shlex.join(["sudo", *program, *arguments])
        raise SettingsError(f"--system needs the rights of root: {again}")
