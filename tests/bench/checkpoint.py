"""Random PixArt-Sigma transformers of XL's width, in diffusers' names, streamed to disk: a block at a time is in memory."""

import json
import os

WIDTH = 1152
XL_LAYERS = 28
BLOCK = 1 << 20


def shapes(layers):
    def linear(name, out, *inputs):
        yield f"{name}.weight", [out, *inputs]
        yield f"{name}.bias", [out]

    yield from linear("pos_embed.proj", WIDTH, 4, 2, 2)
    yield from linear("caption_projection.linear_1", WIDTH, 4096)
    yield from linear("caption_projection.linear_2", WIDTH, WIDTH)
    yield from linear("adaln_single.emb.timestep_embedder.linear_1", WIDTH, 256)
    yield from linear("adaln_single.emb.timestep_embedder.linear_2", WIDTH, WIDTH)
    yield from linear("adaln_single.linear", 6 * WIDTH, WIDTH)
    yield from linear("proj_out", 32, WIDTH)
    yield "scale_shift_table", [2, WIDTH]
    for n in range(layers):
        for attention in ("attn1", "attn2"):
            for projection in ("to_q", "to_k", "to_v", "to_out.0"):
                yield from linear(f"transformer_blocks.{n}.{attention}.{projection}", WIDTH, WIDTH)
        yield from linear(f"transformer_blocks.{n}.ff.net.0.proj", 4 * WIDTH, WIDTH)
        yield from linear(f"transformer_blocks.{n}.ff.net.2", WIDTH, 4 * WIDTH)
        yield f"transformer_blocks.{n}.scale_shift_table", [6, WIDTH]


def parameters(layers):
    total = 0
    for _, shape in shapes(layers):
        count = 1
        for d in shape:
            count *= d
        total += count
    return total


def write(path, layers, dtype="F32"):
    """`dtype` F32 or F16: floats of either sign between 2^-7 and 2^-5, at which activations of this width stay within f16."""
    # Of every value the sign, the last bit of the exponent and the mantissa are random; the exponent's other bits are fixed.
    free, fixed, size = {
        "F32": (b"\xff\xff\xff\x80", b"\x00\x00\x00\x3c", 4),
        "F16": (b"\xff\x87", b"\x00\x20", 2),
    }[dtype]
    header, end = {}, 0
    for name, shape in shapes(layers):
        start = end
        count = size
        for d in shape:
            count *= d
        end += count
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    free = int.from_bytes(free * (BLOCK // size), "little")
    fixed = int.from_bytes(fixed * (BLOCK // size), "little")
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        while end > 0:
            block = (int.from_bytes(os.urandom(BLOCK), "little") & free | fixed).to_bytes(BLOCK, "little")
            file.write(block[: min(end, BLOCK)])
            end -= BLOCK
