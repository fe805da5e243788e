"""The papers' claims in the recipes."""

from __future__ import annotations

import pytest

from fercli.models.naming import BACKBONES
from fercli.models.registry import find_model
from fercli.recipes import Claim, ClaimTable, Recipe, Settings, load_recipe, recipe_settings


def read_claims(model: str) -> dict[str, float]:
    return {claim.dataset: claim.accuracy for claim in load_recipe(find_model(model).recipe_file).claims_of(model)}


@pytest.mark.parametrize(
    ("model", "claims"),
    [
        ("emotionnet", {"SFEW (part)": 52.17}),
        ("resnet18", {"SFEW (part)": 42.03}),
        ("resnet50", {"FER2013": 71.5, "SFEW (part)": 40.58}),
        ("resnet50-sa", {"SFEW (part)": 36.23}),
        ("resnet50-cbam", {"FER2013": 72.4}),
        ("vgg19", {"FER2013": 71.7}),
        ("vgg19-cbam", {"FER2013": 71.9}),
        ("inception-v3", {"FER2013": 70.4}),
        ("inception-v3-cbam", {"FER2013": 71.1}),
        ("vgg19-cbam-elu", {"FER2013": 64.07, "CK+": 92.31, "JAFFE": 77.78}),
        ("resnetv2-50-cbam-elu", {"FER2013": 60.15, "CK+": 89.01, "JAFFE": 84.44}),
        ("resnet152-elu", {"FER2013": 59.36, "CK+": 85.71, "JAFFE": 15.66}),
        ("resnet50-selu", {"CK+": 87.91}),
        ("vgg19-relu", {"CK+": 87.91}),
        ("vgg16-cbam", {}),
        ("resnet18-elu", {}),
    ],
)
def test_claims_match_the_papers(model: str, claims: dict[str, float]) -> None:
    assert read_claims(model) == claims


def test_every_elu_network_of_the_paper_has_three_claims() -> None:
    paper = [b.name for b in BACKBONES if b.name.startswith(("vgg", "resnetv2")) or b.name[6:] in ("50", "101", "152")]
    assert len(paper) == 8
    for backbone in paper:
        for attention in ("", "-se", "-eca", "-cbam"):
            assert list(read_claims(f"{backbone}{attention}-elu")) == ["FER2013", "CK+", "JAFFE"]


def test_claims_for_resemotenet() -> None:
    claims = load_recipe("resemotenet").claims_of("resemotenet")
    assert [(c.dataset, c.accuracy) for c in claims if c.source.startswith("ResEmoteNet")] == [
        ("FER2013", 79.79),
        ("RAF-DB", 94.76),
        ("AffectNet-7", 72.93),
        ("ExpW", 75.67),
    ]
    assert claims[0].accuracy == 79.79  # its own authors' claim comes first
    assert [(c.accuracy, c.source) for c in claims if c.source.startswith("Ensembles")] == [
        (82.0, "Ensembles paper, section 6.3.2")
    ]


def test_ensembles_paper_snapshots_fit_the_resemotenet_recipe() -> None:
    recipe = recipe_settings("resemotenet")
    epochs = (30, 40, 50, 60, 70, 80)
    settings = Settings(**{**recipe, "schedule": "cyclic", "snapshots": ",".join(map(str, epochs))})
    assert settings.snapshots == set(epochs)
    assert set(epochs) <= set(settings.cycle_ends())


@pytest.mark.parametrize(
    ("model", "optimizer", "lr"),
    [("vgg19-cbam", "adam", 1e-3), ("resnet50", "sgd", 0.01), ("inception-v3", "sgd", 0.05)],
)
def test_best_settings_of_the_grid(model: str, optimizer: str, lr: float) -> None:
    train = load_recipe(find_model(model).recipe_file).train
    assert (train.optimizer, train.lr, train.epochs, train.batch_size) == (optimizer, lr, 200, 128)
    assert train.weight_decay == 1e-3


def test_single_claims_and_tables_are_combined() -> None:
    measured = {"split": "test", "source": "a table", "protocol": "one run"}
    single = Claim(dataset="RAF-DB", accuracy=90, **measured)
    table = ClaimTable(dataset="FER2013", accuracy={"a": 70, "b": 71}, note="few", **measured)
    recipe = Recipe(source="a paper", train=Settings(lr=0.1), claims={"b": [single]}, tables=[table])
    assert recipe.claims_of("a") == [Claim(dataset="FER2013", accuracy=70, note="few", **measured)]
    assert [(c.dataset, c.accuracy) for c in recipe.claims_of("b")] == [("RAF-DB", 90), ("FER2013", 71)]
    assert recipe.claims_of("c") == []
