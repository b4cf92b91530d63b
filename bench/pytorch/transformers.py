"""The six Transformers: softmax attention of Transformer, + and ++, and MC-TFM++, Performer and Combiner in the frame of ++.

One product for queries, keys and values; heads leave RoPE in the layout of the products. H heads, w = d / H, C chunk,
G chunks; T is a multiple of C.
"""

import math

import torch
import torch.nn.functional as F

from attention import CausalSoftmax, MaskedSoftmax, future, largest_block
from layers import EPS, LanguageModel, Rotate, affine, paired, turns_of


class Transformer(LanguageModel):
    def __init__(self, parameters, constants, model, context):
        super().__init__(parameters, model, context)
        self.heads = model["heads"]
        self.w = model["width"] // self.heads
        self.turns = None if model["architecture"] == "transformer" else turns_of(context, self.w)
        self.hidden = future(model["chunk"] if "chunk" in model else largest_block(context))

    def linear(self, name, x):
        return affine(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def norm(self, name, x):
        gain = self.p[f"{name}.gain"]
        return F.layer_norm(x, gain.shape, gain, self.p[f"{name}.bias"], EPS)

    def projections(self, name, x, scale=1.0):
        """[N, 3 d]: queries times `scale`, keys, values; the columns of queries and keys paired for RoPE."""
        parts = [[self.p[f"{name}.{part}.{kind}"] for part in ("query", "key", "value")] for kind in ("weight", "bias")]
        joined = []
        for q, k, v in parts:
            q = q * scale if scale != 1.0 else q
            joined.append(torch.cat([q, k, v] if self.turns is None else [paired(q, self.w), paired(k, self.w), v], -1))
        return affine(x, *joined)

    def split_heads(self, x, B):
        """[B T, n w] -> [B, T, n, w]"""
        return x.view(B, -1, x.shape[-1] // self.w, self.w)

    def heads_of(self, name, x, B, scale=1.0):
        """q, k, v [B, H, T, w]"""
        H, d = self.heads, x.shape[-1]
        hidden = self.projections(name, x, scale)
        if self.turns is None:
            return self.split_heads(hidden, B).transpose(1, 2).contiguous().split(H, 1)
        q, k = Rotate.apply(self.split_heads(hidden[:, : 2 * d], B), self.turns).split(H, 1)
        return q, k, self.split_heads(hidden[:, 2 * d :], B).transpose(1, 2)

    def attention(self, name, x, B):
        """[B T, d] -> [B, H, T, w]"""
        q, k, v = self.heads_of(name, x, B, 1 / math.sqrt(self.w))
        return CausalSoftmax.apply(*[t.flatten(0, 1) for t in (q, k, v)], self.hidden).view(q.shape)

    def feed_forward(self, name, x):
        up = f"{name}.up"
        if f"{name}.gate.weight" not in self.p:
            return self.linear(f"{name}.down", F.gelu(self.linear(up, x)))
        weight, bias = [torch.cat([self.p[f"{up}.{k}"], self.p[f"{name}.gate.{k}"]], -1) for k in ("weight", "bias")]
        up, gate = affine(x, weight, bias).chunk(2, -1)
        return self.linear(f"{name}.down", F.gelu(up) * gate)

    def layer(self, name, x):
        B, T, d = x.shape
        x = x.view(B * T, d)
        found = self.attention(name, self.norm(f"{name}.norm1", x), B)
        joined = found.transpose(1, 2).reshape(B * T, d)
        x = self.linear(f"{name}.attention_out", joined).add_(x)
        return self.feed_forward(name, self.norm(f"{name}.norm2", x)).add_(x).view(B, T, d)


class MixedChunk(Transformer):
    def __init__(self, parameters, constants, model, context):
        super().__init__(parameters, constants, model, context)
        self.chunk = model["chunk"]
        # quadratic query and key, linear query and key
        self.scales = torch.tensor([1 / math.sqrt(self.w), 1.0, 1 / self.chunk, 1.0]).view(2, 2, 1)

    def attention(self, name, x, B):
        d, H, w, C = x.shape[-1], self.heads, self.w, self.chunk
        hidden = self.projections(name, x)
        gamma, beta = [
            paired((self.p[f"{name}.heads.{g}"].view(2, 2, d) * self.scales).view(2, 2 * d), w) for g in ("gamma", "beta")
        ]
        affined = torch.addcmul(beta, hidden[:, None, : 2 * d], gamma)  # [B T, 2, 2 d]
        turned = Rotate.apply(self.split_heads(affined.flatten(1), B), self.turns)  # [B, 4 H, T, w]
        T = turned.shape[2]
        G = T // C
        qq, qk, lq, lk = [t.reshape(-1, C, w) for t in turned.split(H, 1)]  # [B H G, C, w]
        v = self.split_heads(hidden[:, 2 * d :], B).transpose(1, 2).reshape(-1, C, w)
        mixed = MaskedSoftmax.apply(qq, qk, v, lambda scores: scores.add_(self.hidden))
        if G > 1:
            kv = torch.bmm(lk.transpose(1, 2), v).view(B * H, G, w, w)
            before = F.pad(kv[:, :-1].cumsum(1), (0, 0, 0, 0, 1, 0)).view(-1, w, w)
            mixed = torch.bmm(lq, before).add_(mixed)
        return mixed.view(B, H, T, w)


class Performer(Transformer):
    CHUNK = 128

    def __init__(self, parameters, constants, model, context):
        super().__init__(parameters, constants, model, context)
        count = model["layers"]
        paired_features = [paired(constants[f"constants.features.{i}"], self.w) for i in range(count)]
        self.omega = {f"layers.{i}": f.T.contiguous() * self.w**-0.25 for i, f in enumerate(paired_features)}  # [w, m]

    def attention(self, name, x, B):
        q, k, v = self.heads_of(name, x, B)
        H, T, w, C = self.heads, q.shape[2], self.w, min(self.CHUNK, q.shape[2])
        omega = self.omega[name]
        phi_q = torch.matmul(q, omega)  # [B, H, T, m]
        phi_q = phi_q.sub_(phi_q.detach().amax(-1, keepdim=True)).exp_()
        half_square = k.square().sum(-1, keepdim=True) * (0.5 / math.sqrt(w))  # [B, H, T, 1]
        phi_k = torch.matmul(k, omega)
        largest = (phi_k.detach().amax(-1, keepdim=True) - half_square.detach()).amax(2, keepdim=True)
        phi_k = phi_k.sub_(half_square + largest).exp_()
        qc, kc = [t.reshape(-1, C, t.shape[-1]) for t in (phi_q, phi_k)]  # [B H G, C, m]
        vc = F.pad(v, (0, 1), value=1.0).reshape(-1, C, w + 1)  # the sum of weights comes out as one more column
        sums = torch.bmm(torch.bmm(qc, kc.transpose(1, 2)).tril_(), vc)
        G = T // C
        if G > 1:
            kv = torch.bmm(kc.transpose(1, 2), vc).view(B * H, G, -1, w + 1)
            before = F.pad(kv[:, :-1].cumsum(1), (0, 0, 0, 0, 1, 0)).flatten(0, 1)
            sums = torch.bmm(qc, before).add_(sums)
        weighted, total = sums.split([w, 1], -1)
        return (weighted * total.clamp_min(1e-30).reciprocal()).view(B, H, T, w)


class Combiner(Transformer):
    """Summaries stand beside the keys and values of each block, so that one product and one softmax meet both."""

    def __init__(self, parameters, constants, model, context):
        super().__init__(parameters, constants, model, context)
        self.chunk = model["chunk"]
        G = context // self.chunk
        self.others = future(G) + torch.diag(torch.full((G,), -1e30))  # own and later blocks

    def hide_(self, scores):
        C, G = self.chunk, self.others.shape[0]
        scores[:, :, :C].add_(self.hidden)
        if G > 1:
            scores.view(-1, G, C, C + G)[..., C:].add_(self.others[:, None])

    def attention(self, name, x, B):
        q, k, v = self.heads_of(name, x, B, 1 / math.sqrt(self.w))
        H, T, w, C = self.heads, q.shape[2], self.w, self.chunk
        G = T // C
        qc, kc, vc = [t.reshape(-1, C, w) for t in (q, k, v)]  # [B H G, C, w]
        if G == 1:
            return MaskedSoftmax.apply(qc, kc, vc, self.hide_).view(B, H, T, w)
        summary_k = kc.amax(1, keepdim=True)
        weights = torch.softmax(torch.bmm(qc.amax(1, keepdim=True), kc.transpose(1, 2)), -1)
        summary_v = torch.bmm(weights, vc)
        beside = lambda own, summary: torch.cat(
            [own.view(-1, G, C, w), summary.view(-1, 1, G, w).expand(-1, G, G, w)], 2
        ).flatten(0, 1)
        keys, values = beside(kc, summary_k), beside(vc, summary_v)  # [B H G, C + G, w]
        return MaskedSoftmax.apply(qc, keys, values, self.hide_).view(B, H, T, w)
