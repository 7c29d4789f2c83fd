"""`python -m benchmarks` lists the benchmarks, `python -m benchmarks NAME` runs one."""

import sys

from benchmarks.door import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
