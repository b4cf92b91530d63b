"""FLASH and FLASH-Quad. One product for u, v and z; the heads of z in one pass; scores from baddbmm with bias and mask as
its start, or, where the bias is rotary, with its vectors as further columns of queries and keys.

e gated width, s shared width, C chunk, G chunks; T is a multiple of C.
"""

import torch
import torch.nn.functional as F

from attention import CausalSquaredRelu, future, largest_block
from layers import LanguageModel, Rotate, affine, angles, paired, rope, scale_norm, turns_of


class GatedModel(LanguageModel):
    """What both share. `scales` [heads] multiply queries and keys."""

    def __init__(self, parameters, model, context, span, scales):
        super().__init__(parameters, model, context)
        self.s, self.e = model["shared"], model["width"] * model["expansion"]
        self.turns = turns_of(context, self.s)
        self.scales = torch.tensor(scales)[:, None]
        self.span = span  # of the relative bias
        self.rotary = "layers.0.bias.a" in parameters
        if self.rotary:
            self.bias_angles = angles(span, self.s // 2)
            self.hidden = future(largest_block(span))
        else:
            i = torch.arange(span)
            self.distances = i[None, :] - i[:, None] + span - 1  # [span, span], into the Toeplitz bias
            self.hidden = future(span)

    def squared_relu(self, name, q, k, v):
        """relu(q kᵀ + bias, the future hidden)^2 v: q, k [N, span, s], v [N, span, e] -> [N, span, e]"""
        N, n, _ = q.shape
        if self.rotary:
            a, b = [rope(self.p[f"{name}.bias.{t}"].expand(n, -1), *self.bias_angles).expand(N, n, -1) for t in "ab"]
            return CausalSquaredRelu.apply(torch.cat([q, a], -1), torch.cat([k, b], -1), v, self.hidden)
        bias = self.p[f"{name}.bias.weight"][self.distances] + self.hidden
        positive = F.relu(torch.baddbmm(bias.expand(N, n, n), q, k.transpose(1, 2)))
        return torch.bmm(positive * positive, v)

    def attend(self, name, heads, v):
        """heads [B, count, T, s], v [B, T, e] -> [B T, e]"""
        raise NotImplementedError

    def layer(self, name, x):
        p = lambda key: self.p[f"{name}.{key}"]
        B, T, d = x.shape
        s, e = self.s, self.e
        normal = scale_norm(x, p("norm.gain")).view(B * T, d)
        plain, pairs = p("hidden.weight").split([2 * e, s], -1)
        plain_bias, pairs_bias = p("hidden.bias").split([2 * e, s], -1)
        weight = torch.cat([plain, paired(pairs, s)], -1)
        bias = torch.cat([plain_bias, paired(pairs_bias, s)], -1)
        u, v, z = F.silu(affine(normal, weight, bias)).split([e, e, s], -1)
        gamma, beta = [paired(p(f"heads.{g}") * self.scales, s) for g in ("gamma", "beta")]  # [count, s]
        heads = Rotate.apply(torch.addcmul(beta, z.view(B, T, 1, s), gamma), self.turns)
        gated = u * self.attend(name, heads, v.view(B, T, e))
        return affine(gated, p("out.weight"), p("out.bias")).view(B, T, d).add_(x)


class FlashQuad(GatedModel):
    def __init__(self, parameters, constants, model, context):
        n = model["maxLength"]
        super().__init__(parameters, model, context, n, [1 / n, 1.0])

    def attend(self, name, heads, v):
        B, T, e = v.shape
        return self.squared_relu(name, *heads.unbind(1), v).view(B * T, e)


class Flash(GatedModel):
    def __init__(self, parameters, constants, model, context):
        self.chunk = model["chunk"]
        super().__init__(parameters, model, context, self.chunk, [1 / self.chunk, 1.0, 1 / self.chunk, 1.0])

    def attend(self, name, heads, v):
        B, T, e = v.shape
        C, s = self.chunk, self.s
        G = T // C
        qq, qk, lq, lk = heads.transpose(0, 1).reshape(4, B * G, C, s).unbind(0)
        v = v.reshape(B * G, C, e)
        mixed = self.squared_relu(name, qq, qk, v)  # [B G, C, e]
        if G > 1:
            kv = torch.bmm(lk.transpose(1, 2), v).view(B, G, s, e)
            before = F.pad(kv[:, :-1].cumsum(1), (0, 0, 0, 0, 1, 0)).view(B * G, s, e)
            mixed = torch.bmm(lq, before).add_(mixed)
        return mixed.view(B * T, e)
