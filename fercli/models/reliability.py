"""Reliability balancing: an uncertain prediction is corrected by what lies near and by what the image attends to.

Wasi et al. 2023, "ARBEx: Attentive Feature Extraction with Reliability Balancing for Robust Facial Expression
Learning", as its public code has it. Distributions are over n classes, along the last dimension.
"""

from __future__ import annotations

from math import log, sqrt

import torch
from torch import Tensor, nn

_TINY = torch.finfo(torch.float32).tiny
"""Stands for a probability of 0 where its logarithm is taken."""
_EVEN = 1e-6
"""Added to both confidences of a correction: two that know nothing count alike."""


def confidence(p: Tensor) -> Tensor:
    """Return c(p) = 1 - H(p) / log n of (..., n): 0 for an even distribution, 1 for a certain one; (...)."""
    entropy = -(p * p.clamp(min=_TINY).log()).sum(-1)
    return (1 - entropy / log(max(p.shape[-1], 2))).clamp(min=0)


def anchor_distances(embedding: Tensor, anchors: Tensor) -> Tensor:
    """Return Euclidean distances (B, n, K) of embeddings (B, E) to anchors (n, K, E), K for each class."""
    distances: Tensor = torch.linalg.vector_norm(embedding[:, None, None] - anchors, dim=-1)
    return distances


def similarity(distances: Tensor) -> Tensor:
    """Return g (B, n) of distances (B, n, K): the softmax of -distance over all anchors, added up for each class."""
    return (-distances).flatten(1).softmax(1).view(distances.shape).sum(2)


def correction(g: Tensor, a: Tensor) -> Tensor:
    """Return r = (g c(g) + a c(a)) / (c(g) + c(a)) of two distributions (..., n): the surer one counts more."""
    by_g, by_a = confidence(g)[..., None] + _EVEN, confidence(a)[..., None] + _EVEN
    return (g * by_g + a * by_a) / (by_g + by_a)


def balance(p: Tensor, r: Tensor) -> Tensor:
    """Return q = c(p) p + (1 - c(p)) r of a prediction and its correction (..., n): what is sure stays."""
    sure = confidence(p)[..., None]
    return sure * p + (1 - sure) * r


def spread_loss(anchors: Tensor) -> Tensor:
    """Return -sum over pairs of classes i, j of |A_i - A_j|^2 / (K^2 sqrt(E)): it keeps classes' anchors apart.

    Each pair counts both ways. The term has no least value: the anchors part as fast as the learning rate lets them,
    and the loss of a long training sinks far below zero.

    Args:
        anchors: (n, K, E); A_i are a class's K anchors in a row.
    """
    _, count, channels = anchors.shape
    rows = anchors.flatten(1)
    return -(rows[:, None] - rows[None]).square().sum() / (count**2 * sqrt(channels))


def center_loss(distances: Tensor, targets: Tensor, sure: Tensor, channels: int) -> Tensor:
    """Return the mean of c(p) d / sqrt(E): each embedding is drawn to the nearest anchor of its class.

    Args:
        distances: (B, n, K) to the anchors; d is the least one to the class of the target.
        targets: int64 (B,), or soft float (B, n), which weigh each class's d.
        sure: c(p), (B,).
        channels: E.
    """
    nearest = distances.amin(2)  # (B, n)
    if targets.is_floating_point():
        own = (nearest * targets).sum(1)
    else:
        own = nearest.gather(1, targets[:, None])[:, 0]
    return (own * sure).mean() / sqrt(channels)


class TokenAttention(nn.Module):
    """a: what an image's embedding attends to among the image's own tokens, as a distribution over the classes.

    One head of n channels. The authors' module runs over a batch's embeddings instead, so that a face's prediction
    depends on the faces beside it. It also projects twice before and once after the attention, which is what one
    projection can do. A bias of the keys would change no weight: it adds the same to each.

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
    """Anchors, attention, and the trust with which they are listened to.

    Trust rises evenly from 0 to 1 over the first training steps. They are counted in the state, so that a training that
    is taken up again, an average of weights and a checkpoint all have the trust that belongs to their weights. (The
    authors let it rise over all steps of a training, whose number a model does not know.)

    Args:
        channels: E, of embedding and tokens.
        classes: n.
        anchors: K, for each class. They begin at random; the authors' begin at zero, where no anchor differs from
            another and the spread has no direction to go.
        trust_steps: Training steps until trust is 1; 0: it is 1 at once.
    """

    steps: Tensor

    def __init__(self, channels: int, classes: int, anchors: int = 10, trust_steps: int = 10_000) -> None:
        super().__init__()
        self.trust_steps = trust_steps
        self.anchors = nn.Parameter(0.02 * torch.randn(classes, anchors, channels))
        self.attention = TokenAttention(channels, classes)
        self.register_buffer("steps", torch.zeros(()))  # a float: moving averages take in no whole numbers

    def trust(self) -> Tensor:
        """Return t, a scalar in 0..1."""
        return (self.steps / self.trust_steps).clamp(max=1) if self.trust_steps else torch.ones_like(self.steps)

    def balanced(self, p: Tensor, distances: Tensor, embedding: Tensor, tokens: Tensor) -> Tensor:
        """Return log((1 - t) p + t q), (B, n).

        Args:
            p: The classifier's distribution (B, n), float32.
            distances: Of the embeddings to the anchors, (B, n, K).
            embedding: (B, E).
            tokens: Of the same images, (B, N, E).
        """
        r = correction(similarity(distances), self.attention(embedding, tokens))
        return torch.lerp(p, balance(p, r), self.trust()).clamp(min=_TINY).log()

    def forward(self, logits: Tensor, embedding: Tensor, tokens: Tensor) -> Tensor:
        """Return the logarithm of the balanced distribution (B, n) from the classifier's logits (B, n)."""
        distances = anchor_distances(embedding.float(), self.anchors)
        return self.balanced(logits.float().softmax(1), distances, embedding, tokens)

    def training_forward(
        self, logits: Tensor, embedding: Tensor, tokens: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what `forward` does, and t times the spread and centre losses, a scalar; count the step."""
        p, distances = logits.float().softmax(1), anchor_distances(embedding.float(), self.anchors)
        found = self.balanced(p, distances, embedding, tokens)
        drawn = center_loss(distances, targets, confidence(p), embedding.shape[1])
        loss = self.trust() * (spread_loss(self.anchors) + drawn)
        self.steps.add_(1)
        return found, loss
