"""Peak memory of `diffcr convert` on a 2 GiB checkpoint of random weights, in a temporary folder that is deleted afterwards.

Run: python tests/bench/convert_memory.py target/release/diffcr [--gib 2] [--encoding f16]        (standard library only)
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time

from checkpoint import parameters, write

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--gib", type=float, default=2)
parser.add_argument("--encoding", default="f16")
args = parser.parse_args()

layers = next(n for n in range(1, 10_000) if 4 * parameters(n) >= args.gib * 2**30)
with tempfile.TemporaryDirectory() as folder:
    source = os.path.join(folder, "model.safetensors")
    write(source, layers)
    command = [args.binary, "convert", source, "--out", os.path.join(folder, "out"), "--sample-size", "128", "--interpolation-scale", "2", "--quiet"]
    started = time.time()
    subprocess.run([*command, "--encoding", args.encoding], check=True)
    seconds = time.time() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{os.path.getsize(source) / 2**30:.2f} GiB in {layers} layers, {args.encoding}: {seconds:.1f} s, peak {peak:.0f} MiB")
