"""Scan ComfyUI folders on a schedule: what `comfy-inventory run` does, from a plain checkout.

    python scripts/comfy_inventory_watcher.py --comfy-root ./ComfyUI --downloads ~/Downloads

takes the options of `comfy-inventory run`.
"""

import os
import sys

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# The code beside this script comes before an installed version of it, or another `scanner`.
if os.path.isfile(os.path.join(CHECKOUT, "scanner", "cli.py")):
    sys.path.insert(0, CHECKOUT)


def main() -> int:
    """Run the loop with the options of this process; the exit code of `comfy-inventory run`."""
    if sys.version_info < (3, 11):  # noqa: UP036 - a script is started with whatever Python is there
        sys.stderr.write("comfy-inventory needs Python 3.11 or newer.\n")
        return 2
    try:
        from scanner.cli import main as command_line
    except ModuleNotFoundError as error:
        print(
            f"comfy-inventory needs the Python package '{error.name}': "
            "run `make install`, or `pip install .` in this folder.",
            file=sys.stderr,
        )
        return 2
    return command_line(["run", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
