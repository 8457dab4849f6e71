"""``python -m helpers.models``."""

import sys

from helpers.models.cli import main

if __name__ == "__main__":
    sys.exit(main())
