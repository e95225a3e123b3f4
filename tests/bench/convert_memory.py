"""Peak memory of `diffcr convert` on a 2 GiB checkpoint of random weights, in a temporary folder that is deleted afterwards.

Run: python tests/bench/convert_memory.py target/release/diffcr [--gib 2] [--encoding f16]        (standard library only)
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time

D = 1152
BLOCK = 1 << 20


def shapes(layers):
    def linear(name, out, *inputs):
        yield f"{name}.weight", [out, *inputs]
        yield f"{name}.bias", [out]

    yield from linear("pos_embed.proj", D, 4, 2, 2)
    yield from linear("caption_projection.linear_1", D, 4096)
    yield from linear("caption_projection.linear_2", D, D)
    yield from linear("adaln_single.emb.timestep_embedder.linear_1", D, 256)
    yield from linear("adaln_single.emb.timestep_embedder.linear_2", D, D)
    yield from linear("adaln_single.linear", 6 * D, D)
    yield from linear("proj_out", 32, D)
    yield "scale_shift_table", [2, D]
    for n in range(layers):
        for attention in ("attn1", "attn2"):
            for projection in ("to_q", "to_k", "to_v", "to_out.0"):
                yield from linear(f"transformer_blocks.{n}.{attention}.{projection}", D, D)
        yield from linear(f"transformer_blocks.{n}.ff.net.0.proj", 4 * D, D)
        yield from linear(f"transformer_blocks.{n}.ff.net.2", D, 4 * D)
        yield f"transformer_blocks.{n}.scale_shift_table", [6, D]


def size(layers):
    total = 0
    for _, shape in shapes(layers):
        elements = 4
        for d in shape:
            elements *= d
        total += elements
    return total


def write(path, layers):
    header, end = {}, 0
    for name, shape in shapes(layers):
        start = end
        count = 4
        for d in shape:
            count *= d
        end += count
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    # Any bits below an exponent of 127: floats within (-1, 1).
    mask = int.from_bytes(b"\xff\xff\xff\xbe" * (BLOCK // 4), "little")
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        while end > 0:
            block = (int.from_bytes(os.urandom(BLOCK), "little") & mask).to_bytes(BLOCK, "little")
            file.write(block[: min(end, BLOCK)])
            end -= BLOCK


parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--gib", type=float, default=2)
parser.add_argument("--encoding", default="f16")
args = parser.parse_args()

layers = next(n for n in range(1, 10_000) if size(n) >= args.gib * 2**30)
with tempfile.TemporaryDirectory() as folder:
    source = os.path.join(folder, "model.safetensors")
    write(source, layers)
    command = [args.binary, "convert", source, "--out", os.path.join(folder, "out"), "--sample-size", "128", "--quiet"]
    started = time.time()
    subprocess.run([*command, "--encoding", args.encoding], check=True)
    seconds = time.time() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{os.path.getsize(source) / 2**30:.2f} GiB in {layers} layers, {args.encoding}: {seconds:.1f} s, peak {peak:.0f} MiB")
