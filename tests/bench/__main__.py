"""`make bench`: every table of the README. Name one to run it alone: make bench ARGS=pipeline."""

import subprocess
import sys

TABLES = ("pipeline", "poller", "camera_node", "scoring", "selection", "events", "forwarding", "drift",
          "memory", "index", "web", "replay", "scan", "million")  # fmt: skip

if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:2] if name in TABLES] or list(TABLES)
    rest = sys.argv[2:] if len(chosen) == 1 else []
    for name in chosen:
        print(f"\n## {name}\n", flush=True)
        # A process each: one table pins itself to a core.
        subprocess.run([sys.executable, "-m", f"tests.bench.bench_{name}", *rest], check=True)
