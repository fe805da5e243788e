"""Reliability balancing: uncertain predictions are corrected by nearby anchors and by attention over image tokens.

Wasi et al. 2023, "ARBEx: Attentive Feature Extraction with Reliability Balancing for Robust Facial Expression
Learning", following its public code. Distributions are over n classes, along the last dimension.
"""

from __future__ import annotations

from math import log, sqrt

import torch
from torch import Tensor, nn

_TINY = torch.finfo(torch.float32).tiny
"""Lower bound of probabilities before taking logarithms."""
_EPSILON = 1e-6
"""Added to both confidences of a correction, so that two uniform distributions have equal weights."""


def confidence(p: Tensor) -> Tensor:
    """Return c(p) = 1 - H(p) / log n, shape (...), of (..., n): 0 for a uniform distribution, 1 for a one-hot one."""
    entropy = -(p * p.clamp(min=_TINY).log()).sum(-1)
    return (1 - entropy / log(max(p.shape[-1], 2))).clamp(min=0)


def anchor_distances(embedding: Tensor, anchors: Tensor) -> Tensor:
    """Return the Euclidean distances (B, n, K) of embeddings (B, E) to anchors (n, K, E), K per class."""
    distances: Tensor = torch.linalg.vector_norm(embedding[:, None, None] - anchors, dim=-1)
    return distances


def similarity(distances: Tensor) -> Tensor:
    """Return g (B, n) of distances (B, n, K): the softmax of -distance over all anchors, summed per class."""
    return (-distances).flatten(1).softmax(1).view(distances.shape).sum(2)


def correction(g: Tensor, a: Tensor) -> Tensor:
    """Return r = (g c(g) + a c(a)) / (c(g) + c(a)), the confidence-weighted mean of two distributions (..., n)."""
    weight_g, weight_a = confidence(g)[..., None] + _EPSILON, confidence(a)[..., None] + _EPSILON
    return (g * weight_g + a * weight_a) / (weight_g + weight_a)


def balance(p: Tensor, r: Tensor) -> Tensor:
    """Return q = c(p) p + (1 - c(p)) r of a prediction and its correction (..., n)."""
    weight = confidence(p)[..., None]
    return weight * p + (1 - weight) * r


def spread_loss(anchors: Tensor) -> Tensor:
    """Return -sum over pairs of classes i, j of |A_i - A_j|^2 / (K^2 sqrt(E)), which separates the classes' anchors.

    Each pair counts twice. The term is unbounded below: the anchors diverge as fast as the learning rate permits, and
    the loss of a long training falls far below zero.

    Args:
        anchors: (n, K, E); A_i is the concatenation of a class's K anchors.
    """
    _, count, channels = anchors.shape
    rows = anchors.flatten(1)
    return -(rows[:, None] - rows[None]).square().sum() / (count**2 * sqrt(channels))


def center_loss(distances: Tensor, targets: Tensor, confidences: Tensor, channels: int) -> Tensor:
    """Return the mean of c(p) d / sqrt(E), which pulls each embedding to the nearest anchor of its class.

    Args:
        distances: Distances to the anchors, (B, n, K); d is the smallest one to the target class.
        targets: int64 (B,), or soft float (B, n), which weight each class's d.
        confidences: c(p), (B,).
        channels: E.
    """
    nearest = distances.amin(2)  # (B, n)
    if targets.is_floating_point():
        target_distances = (nearest * targets).sum(1)
    else:
        target_distances = nearest.gather(1, targets[:, None])[:, 0]
    return (target_distances * confidences).mean() / sqrt(channels)


class TokenAttention(nn.Module):
    """a: attention of an image's embedding over its own tokens, as a distribution over the classes.

    It has one head with n channels. The authors' module attends across the embeddings of the batch instead, so that a
    prediction depends on the other images. It also projects twice before and once after the attention, which one
    projection can express. The keys have no bias: it would add the same to every score and not change the weights.

    Args:
        channels: E, of embedding and tokens.
        classes: n.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, classes)
        self.key = nn.Linear(channels, classes, bias=False)
        self.value = nn.Linear(channels, classes)

    def forward(self, embedding: Tensor, tokens: Tensor) -> Tensor:
        """Return (B, n), float32, from embeddings (B, E) and tokens (B, N, E)."""
        query, key, value = self.query(embedding)[:, None], self.key(tokens), self.value(tokens)
        weights = ((query * key).float().sum(2) / sqrt(key.shape[2])).softmax(1)  # (B, N)
        attended: Tensor = (weights[:, :, None] * value.float()).sum(1)
        return attended.softmax(1)


class ReliabilityBalancing(nn.Module):
    """Anchors, attention, and the trust that weights their correction.

    The trust increases linearly from 0 to 1 over the first training steps. The step count is part of the state, so that
    resumed trainings, weight averages and checkpoints have the trust that matches their weights. (The authors increase
    it over all steps of a training, a number unknown to the model.)

    Args:
        channels: E, of embedding and tokens.
        classes: n.
        anchors: K, anchors per class. They are initialised at random; the authors' start at zero, where all anchors
            are equal and the spread loss has no gradient.
        trust_steps: Training steps until the trust is 1; 0: always 1.
    """

    steps: Tensor

    def __init__(self, channels: int, classes: int, anchors: int = 10, trust_steps: int = 10_000) -> None:
        super().__init__()
        self.trust_steps = trust_steps
        self.anchors = nn.Parameter(0.02 * torch.randn(classes, anchors, channels))
        self.attention = TokenAttention(channels, classes)
        self.register_buffer("steps", torch.zeros(()))  # float: moving averages skip integers

    def trust(self) -> Tensor:
        """Return the trust t, a scalar in 0..1."""
        return (self.steps / self.trust_steps).clamp(max=1) if self.trust_steps else torch.ones_like(self.steps)

    def balanced(self, p: Tensor, distances: Tensor, embedding: Tensor, tokens: Tensor) -> Tensor:
        """Return log((1 - t) p + t q), (B, n).

        Args:
            p: The classifier's distribution (B, n), float32.
            distances: Distances of the embeddings to the anchors, (B, n, K).
            embedding: (B, E).
            tokens: Tokens of the same images, (B, N, E).
        """
        r = correction(similarity(distances), self.attention(embedding, tokens))
        return torch.lerp(p, balance(p, r), self.trust()).clamp(min=_TINY).log()

    def forward(self, logits: Tensor, embedding: Tensor, tokens: Tensor) -> Tensor:
        """Map the classifier's logits (B, n) to the logarithm of the balanced distribution (B, n)."""
        distances = anchor_distances(embedding.float(), self.anchors)
        return self.balanced(logits.float().softmax(1), distances, embedding, tokens)

    def training_forward(
        self, logits: Tensor, embedding: Tensor, tokens: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the output of `forward`, and t times the spread and center losses, a scalar; count the step."""
        p, distances = logits.float().softmax(1), anchor_distances(embedding.float(), self.anchors)
        output = self.balanced(p, distances, embedding, tokens)
        center = center_loss(distances, targets, confidence(p), embedding.shape[1])
        loss = self.trust() * (spread_loss(self.anchors) + center)
        self.steps.add_(1)
        return output, loss
