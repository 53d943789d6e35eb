"""`scripts/chaos`: what its processes import of this file again is nothing, so that they begin at once."""

import sys

if __name__ == "__main__":
    from runs import main

    sys.exit(main())
