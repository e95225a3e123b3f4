"""Writes the network that peers are timed on: a random PixArt of 7.9 M parameters, for us and for onnxruntime.

What is written under OUT/:
  transformer/         the diffusers folder that the converter reads
  routers.safetensors  a router for every layer, and the keep ratios of a dense run
  net.onnx             the same network, as torch exports it
  step.safetensors     the inputs of a step and its output, as diffusers computes it

Needs: torch, diffusers, safetensors, onnx, onnxscript.
Run:   python make_net.py OUT
"""

import math
import sys
from pathlib import Path

import onnx
import torch
from diffusers import PixArtTransformer2DModel
from safetensors.torch import save_file

LAYERS, HEADS, HEAD_DIM, SIDE, CAPTION_TOKENS, CAPTION_WIDTH, BATCH = 12, 6, 32, 128, 20, 128, 2


class Step(torch.nn.Module):
    """One prediction: latents, caption and timestep in, the prediction out."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, latents, context, timestep):
        conditions = {"resolution": None, "aspect_ratio": None}
        return self.net(latents, context, timestep, added_cond_kwargs=conditions, return_dict=False)[0]


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    width = HEADS * HEAD_DIM
    net = PixArtTransformer2DModel(
        num_layers=LAYERS, num_attention_heads=HEADS, attention_head_dim=HEAD_DIM, cross_attention_dim=width,
        in_channels=3, out_channels=3, sample_size=SIDE, patch_size=8, caption_channels=CAPTION_WIDTH,
        interpolation_scale=1, use_additional_conditions=False,
    ).eval()  # fmt: skip
    for p in net.parameters():
        p.data.normal_(0.0, 0.1 if p.ndim < 2 else 1.0 / math.sqrt(p[0].numel()))
    print(f"{sum(p.numel() for p in net.parameters()) / 1e6:.1f} M parameters")
    net.save_pretrained(out / "transformer")
    routers = {f"router.{i}": torch.randn(width) / math.sqrt(width) for i in range(LAYERS)}
    save_file({**routers, "keep": torch.ones(LAYERS)}, out / "routers.safetensors")

    inputs = {
        "latents": torch.randn(BATCH, 3, SIDE, SIDE),
        "context": torch.randn(BATCH, CAPTION_TOKENS, CAPTION_WIDTH),
        "timestep": torch.full((BATCH,), 500.0),
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


main(Path(sys.argv[1]))
