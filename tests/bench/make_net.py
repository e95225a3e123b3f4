"""Writes a network that peers are timed on, for us and for onnxruntime: a random PixArt of 7.9 M parameters, or one block of XL-2.

What is written under OUT/:
  transformer/         the diffusers folder that the converter reads
  routers.safetensors  a router for every layer, and the keep ratios of a dense run
  net.onnx             the same network, as torch exports it
  step.safetensors     the inputs of a step and its output, as diffusers computes it
  net.json             its shape, by which operations are counted

Needs: torch, diffusers, safetensors, onnx, onnxscript.
Run:   python make_net.py OUT [small|xl-block]
"""

import json
import math
import sys
from pathlib import Path

import onnx
import torch
from diffusers import PixArtTransformer2DModel
from safetensors.torch import save_file

NETS = {
    "small": dict(layers=12, heads=6, head_dim=32, side=128, patch=8, channels=3, out=3, caption=20, caption_width=128, batch=2),
    "xl-block": dict(layers=1, heads=16, head_dim=72, side=64, patch=2, channels=4, out=8, caption=120, caption_width=1152, batch=1),
}  # fmt: skip


class Step(torch.nn.Module):
    """One prediction: latents, caption and timestep in, the prediction out."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, latents, context, timestep):
        conditions = {"resolution": None, "aspect_ratio": None}
        return self.net(latents, context, timestep, added_cond_kwargs=conditions, return_dict=False)[0]


def main(out, shape):
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    width = shape["heads"] * shape["head_dim"]
    net = PixArtTransformer2DModel(
        num_layers=shape["layers"], num_attention_heads=shape["heads"], attention_head_dim=shape["head_dim"], cross_attention_dim=width,
        in_channels=shape["channels"], out_channels=shape["out"], sample_size=shape["side"], patch_size=shape["patch"],
        caption_channels=shape["caption_width"], interpolation_scale=1, use_additional_conditions=False,
    ).eval()  # fmt: skip
    for p in net.parameters():
        p.data.normal_(0.0, 0.1 if p.ndim < 2 else 1.0 / math.sqrt(p[0].numel()))
    print(f"{sum(p.numel() for p in net.parameters()) / 1e6:.1f} M parameters")
    net.save_pretrained(out / "transformer")
    routers = {f"router.{i}": torch.randn(width) / math.sqrt(width) for i in range(shape["layers"])}
    save_file({**routers, "keep": torch.ones(shape["layers"])}, out / "routers.safetensors")

    inputs = {
        "latents": torch.randn(shape["batch"], shape["channels"], shape["side"], shape["side"]),
        "context": torch.randn(shape["batch"], shape["caption"], shape["caption_width"]),
        "timestep": torch.full((shape["batch"],), 500.0),
    }
    step = Step(net).eval()
    with torch.no_grad():
        output = step(*inputs.values())
        program = torch.onnx.export(step, tuple(inputs.values()), input_names=list(inputs), output_names=["output"])
    graph = program.model_proto
    for node in graph.graph.node:
        if node.op_type == "Squeeze":  # of a dimension of 256, which torch leaves alone and ONNX refuses
            node.op_type, node.input[:] = "Identity", node.input[:1]
    onnx.save(graph, out / "net.onnx")
    save_file({**inputs, "output": output}, out / "step.safetensors")
    tokens = (shape["side"] // shape["patch"]) ** 2
    (out / "net.json").write_text(json.dumps({**shape, "tokens": tokens, "width": width}))


main(Path(sys.argv[1]), NETS[sys.argv[2] if len(sys.argv) > 2 else "small"])
