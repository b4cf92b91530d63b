"""The benchmark's opponent: the same language models and the same training step, written directly in PyTorch.

A worker: reads one JSON command a line on stdin ({"do": "step" | "memory" | "exit"}), answers one JSON line each.
Started as `python3 worker.py FILE`, FILE being safetensors with the parameters, fixed tensors ("constants.…"), batches
("tokens.0", "targets.0", …) and, in its metadata, the model and optimiser. Runs on Debian's python3-torch (1.13), CPU,
float32. What each file says it does, it does because it was the fastest of what was timed on that version.
"""

import json
import os
import sys

import torch

from tensor_file import read_safetensors
from trainer import Trainer


def peak_bytes():
    """The kernel's VmHWM; ru_maxrss would also count the process that started this one."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def blas_library():
    """The file that serves sgemm: Debian's alternative behind libblas.so.3, or what the loader put in its place."""
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "/" in line}
    found = sorted(p for p in paths if "blas" in os.path.basename(p).lower())
    return next((p for p in found if "openblas" in p), found[0] if found else None)


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tensors, metadata = read_safetensors(sys.argv[1])
    trainer = Trainer(tensors, json.loads(metadata["setup"]))
    answer = lambda reply: print(json.dumps(reply), flush=True)
    answer({"torch": torch.__version__, "threads": torch.get_num_threads(), "blas": blas_library()})
    for line in sys.stdin:
        command = json.loads(line)["do"]
        if command == "step":
            answer(trainer.step())
        elif command == "memory":
            answer({"peakBytes": peak_bytes()})
        elif command == "exit":
            break
        else:
            answer({"error": f"unknown command {command}"})


if __name__ == "__main__":
    main()
