import pytest

from fercli.errors import UsageError
from fercli.models.probes import probe_name


def test_encoders_give_the_model_its_name() -> None:
    assert probe_name("probe", "timm/test_vit") == probe_name("probe", "test_vit") == "probe/test_vit"
    assert probe_name("probe/test_vit", "test_vit") == "probe/test_vit"


@pytest.mark.parametrize(
    ("model", "encoder", "message"),
    [
        ("quick", "timm/test_vit", "encoder: describes model probe, not quick"),
        ("probe/test_resnet", "timm/test_vit", "encoder: describes model probe, not probe/test_resnet"),
        ("probe", "hf://owner/name", "encoder: name its architecture, timm/NAME; .* --weights hf://owner/name"),
    ],
)
def test_wrong_encoders(model: str, encoder: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        probe_name(model, encoder)
