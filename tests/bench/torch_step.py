"""Pictures a second that torch trains a transformer of the stickers' shape with on a GPU: forward, backward, AdamW.

    python3 tests/bench/torch_step.py [BATCH]

8 blocks, 256 wide, 8 heads, 64 tokens of a picture and 20 of a caption; adaLN-single tables; attention as torch fuses it.
"""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTH, HEADS, TOKENS, LAYERS, CAPTION = 256, 8, 64, 8, 20
BATCH = int(sys.argv[1]) if len(sys.argv) > 1 else 256


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x, y):
        heads = lambda t: t.view(len(t), -1, HEADS, WIDTH // HEADS).transpose(1, 2)
        seen = F.scaled_dot_product_attention(heads(self.q(x)), heads(self.k(y)), heads(self.v(y)))
        return self.out(seen.transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn1, self.attn2 = Attention(), Attention()
        self.ff = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU("tanh"), nn.Linear(4 * WIDTH, WIDTH))
        self.table = nn.Parameter(torch.randn(6, WIDTH) * 0.02)

    def forward(self, x, caption, modulation):
        shift, scale, gate, shift_ff, scale_ff, gate_ff = (self.table + modulation).chunk(6, 1)
        norm = lambda x: F.layer_norm(x, (WIDTH,), eps=1e-6)
        y = norm(x) * (1 + scale) + shift
        x = x + gate * self.attn1(y, y)
        x = x + self.attn2(x, caption)
        return x + gate_ff * self.ff(norm(x) * (1 + scale_ff) + shift_ff)


torch.backends.cuda.matmul.allow_tf32 = True
blocks = nn.ModuleList(Block() for _ in range(LAYERS)).cuda()
optimizer = torch.optim.AdamW(blocks.parameters(), 1e-4, fused=True)
x, caption, modulation = (torch.randn(BATCH, n, WIDTH, device="cuda") for n in (TOKENS, CAPTION, 6))


def step(half):
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=half):
        y = x
        for block in blocks:
            y = block(y, caption, modulation)
    (y.float() ** 2).mean().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


for half in (False, True):
    for _ in range(10):
        step(half)
    torch.cuda.synchronize()
    start = time.time()
    for _ in range(30):
        step(half)
    torch.cuda.synchronize()
    print(f"torch {'bf16' if half else 'tf32'}, batch {BATCH}: {30 * BATCH / (time.time() - start):.0f} images/s")
