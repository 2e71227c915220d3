"""A process that ends badly: `python -m tests.faults.ending exits|killed|hangs`."""

import faulthandler
import os
import signal
import sys
import time


def main(how: str) -> None:
    faulthandler.register(signal.SIGUSR1)
    print("its last words", flush=True)
    match how:
        case "exits":
            sys.exit(3)
        case "killed":
            os.kill(0, signal.SIGKILL)
        case "hangs":
            time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
