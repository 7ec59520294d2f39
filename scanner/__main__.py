"""`python -m scanner` is the same program as `comfy-inventory`."""

import sys

from scanner.cli import main

if __name__ == "__main__":
    sys.exit(main())
