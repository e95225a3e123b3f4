"""Makes a bundle of PixArt-Sigma XL-2's size out of random weights: 28 layers, 610 M parameters, packed by our own converter.

The checkpoint, 1.2 GB, goes to a temporary folder beside OUT and is deleted.

Run: python tests/bench/make_xl.py target/release/diffcr OUT [--encoding q4]        (standard library only)
"""

import argparse
import os
import subprocess
import tempfile

from checkpoint import XL_LAYERS, parameters, write

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("out")
parser.add_argument("--encoding", default="q4")
args = parser.parse_args()

os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(args.out))) as folder:
    source = os.path.join(folder, "model.safetensors")
    write(source, XL_LAYERS, "F16")
    print(f"{parameters(XL_LAYERS) / 1e6:.0f} M parameters, {os.path.getsize(source) / 2**30:.2f} GiB", flush=True)
    # Its probe would run the network in f32 on the CPU.
    command = [args.binary, "convert", source, "--out", args.out, "--sample-size", "128", "--interpolation-scale", "2", "--no-probe", "--force", "--quiet"]
    subprocess.run([*command, "--encoding", args.encoding], check=True, stdout=subprocess.DEVNULL)
print(f"{sum(e.stat().st_size for e in os.scandir(args.out)) / 2**20:.0f} MiB in {args.out}")
