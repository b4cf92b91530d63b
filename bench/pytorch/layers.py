"""What the models share: norms, linear maps, RoPE, and the frame of a language model.

B sequences, T tokens, d width, V vocabulary. RoPE pairs column i with column i + half. As complex numbers such pairs
would be turned in one pass instead of six, but they lie apart; so the columns of the weights are paired first, which costs
little (weights are small) and changes no score, since queries and keys are permuted alike.
"""

import torch
import torch.nn.functional as F

EPS = 1e-5


def affine(x, weight, bias):
    """x @ weight + bias; faster than addmm, which first copies the bias to every row."""
    return torch.mm(x, weight).add_(bias)


def scale_norm(x, gain):
    return x * (torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * gain)


def angles(count, half):
    """Cosines and sines of position * 10000^(-i / half): [count, half] each."""
    angle = torch.arange(count, dtype=torch.float64)[:, None] * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    return angle.cos().float(), angle.sin().float()


def rope(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def paired(x, width):
    """The last axis, made of vectors of `width`, in the order 0, half, 1, half + 1, … within each."""
    return x.unflatten(-1, (-1, 2, width // 2)).transpose(-1, -2).flatten(-3)


class Rotate(torch.autograd.Function):
    """RoPE of paired columns, x [B, T, H, w] by turns [T, w / 2] (complex), into contiguous [B, H, T, w]."""

    @staticmethod
    def forward(ctx, x, turns):
        B, T, H, w = x.shape
        ctx.turns = turns
        y = x.new_empty(B, H, T, w)
        multiply(x, turns[:, None], y.transpose(1, 2))
        return y

    @staticmethod
    def backward(ctx, g):
        B, H, T, w = g.shape
        dx = g.new_empty(B, T, H, w)
        multiply(g, ctx.turns.conj().resolve_conj(), dx.transpose(1, 2))
        return dx, None


def multiply(x, turns, out):
    pairs = lambda t: torch.view_as_complex(t.unflatten(-1, (-1, 2)))
    torch.mul(pairs(x), turns, out=pairs(out))


def turns_of(count, width):
    return torch.complex(*angles(count, width // 2))


class LanguageModel:
    """Tied embedding, scaled sinusoids, layers (of the subclass), final ScaleNorm, whole logits."""

    def __init__(self, parameters, model, context):
        self.p = parameters
        self.layers, width = model["layers"], model["width"]
        cos, sin = angles(context, width // 2)
        self.positions = torch.cat([sin, cos], -1)  # [T, d]

    def layer(self, name, x):
        """[B, T, d] -> [B, T, d]"""
        raise NotImplementedError

    def loss(self, tokens, targets):
        table = self.p["embedding.weight"]
        x = F.embedding(tokens, table) + self.positions * self.p["position.scale"]
        for i in range(self.layers):
            x = self.layer(f"layers.{i}", x)
        x = scale_norm(x, self.p["final.norm.gain"]).flatten(0, 1)
        logits = affine(x, table.T, self.p["logits.bias"])
        return F.cross_entropy(logits, targets.flatten())
