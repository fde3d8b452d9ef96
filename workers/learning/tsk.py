"""The trainable neuro-fuzzy layer: Takagi-Sugeno-Kang rules with Gaussian sets."""

import math

import torch
from torch import Tensor, nn

NARROWEST, WIDEST = 0.05, 20.0
"""Bounds of a set's standard deviation, in standard deviations of the input."""
CLUSTERED_ROWS = 20_000
CLUSTERING_ROUNDS = 10


class TSK(nn.Module):
    """Rules `IF every input is near its centre THEN y = a x + b`, weighed by how far each fires (Takagi, Sugeno 1985).

    The firing strength is the geometric mean of the Gaussian memberships (Cui, Wu, Huang 2021). It stays in log space
    and softmax normalises it, because a product of 40 memberships is zero in float32 for most rows.
    """

    def __init__(
        self, inputs: int, rules: int, outputs: int, *, linear: bool, width: float, dropout: float
    ) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(rules, inputs))
        self.log_widths = nn.Parameter(torch.full((rules, inputs), math.log(width)))
        self.constant = nn.Parameter(torch.zeros(rules, outputs))
        slope = torch.randn(rules, inputs, outputs) * 0.1 / math.sqrt(inputs)
        self.slope = nn.Parameter(slope) if linear else None
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def widths(self) -> Tensor:
        """Return the standard deviations of the sets, float32[rules, inputs]."""
        return self.log_widths.clamp(math.log(NARROWEST), math.log(WIDEST)).exp()

    def firing(self, x: Tensor) -> Tensor:
        """Return the share of each rule, float32[batch, rules]; the shares of a row add up to one."""
        log_widths = self.log_widths.clamp(math.log(NARROWEST), math.log(WIDEST))
        # -1/2 sum_i (x_i - c_ri)^2 / w_ri^2 / inputs, expanded to avoid a tensor [batch, rules, inputs]; the
        # factors are applied to the rules, which are fewer than the rows.
        factor = torch.exp(-2.0 * log_widths) * (-0.5 / x.shape[1])  # [rules, inputs]
        scaled_centres = self.centres * factor
        log_strength = torch.addmm((self.centres * scaled_centres).sum(1), x * x, factor.T)
        log_strength = torch.addmm(log_strength, x, scaled_centres.T, alpha=-2.0)  # [batch, rules]
        return torch.softmax(log_strength, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        share = self.dropout(self.firing(x))  # [batch, rules]
        out: Tensor  # [batch, outputs]
        if self.slope is None:
            out = share @ self.constant
            return out
        rules, inputs, outputs = self.slope.shape
        slopes = self.slope.permute(1, 0, 2).reshape(inputs, rules * outputs)
        conclusions = torch.addmm(self.constant.view(-1), x, slopes).view(-1, rules, outputs)
        out = (share.unsqueeze(2) * conclusions).sum(1)
        return out

    @torch.no_grad()
    def conclusions(self) -> Tensor:
        """Return the output of each rule at its own centre, float32[rules, outputs]."""
        if self.slope is None:
            return self.constant.clone()
        return self.constant + (self.centres.unsqueeze(2) * self.slope).sum(1)

    @torch.no_grad()
    def place_centres(self, x: Tensor, generator: torch.Generator, *, cluster: bool) -> None:
        """Place the centres at random rows of `x`, or at the result of a few rounds of Lloyd's k-means (1982) from there."""
        rules = self.centres.shape[0]
        sample = x[torch.randperm(x.shape[0], generator=generator)[:CLUSTERED_ROWS]]
        centres = sample[torch.arange(rules) % len(sample)].clone()
        for _ in range(CLUSTERING_ROUNDS if cluster else 0):
            nearest = torch.cdist(sample, centres).argmin(1)  # [rows]
            sums = torch.zeros_like(centres).index_add_(0, nearest, sample)
            counts = torch.bincount(nearest, minlength=rules).unsqueeze(1)
            centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        self.centres.copy_(centres)
