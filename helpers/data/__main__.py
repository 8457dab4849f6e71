"""``python -m helpers.data``."""

import sys

from helpers.data.cli import main

if __name__ == "__main__":
    sys.exit(main())
