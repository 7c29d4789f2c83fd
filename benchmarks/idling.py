"""A LocalCluster that does nothing until whoever started it closes its input: for the comparison of idle costs."""

import sys

from benchmarks import peers


def main() -> None:
    """Start the cluster, say so, and stand idle."""
    with peers.local_cluster():
        print("idle", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
