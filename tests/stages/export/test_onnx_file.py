"""Every registered model family can be exported, and gives the same probabilities for any number of faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fercli.exported import INPUT, PROBABILITIES
from fercli.models.face_classifier import FaceClassifier
from fercli.stages.export.faces import drawn_faces
from fercli.stages.export.onnx_file import export_program, network_nodes, to_onnx
from fercli.stages.export.parity import LIMITS
from tests.helpers.models import Member, each_family
from tests.models.test_registry import lively

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.mark.long
@each_family
def test_the_file_gives_the_same_probabilities(member: Member) -> None:
    torch.manual_seed(0)
    model = FaceClassifier(lively(member.build(7)), member.preprocessing, (48, "gray"), 1.0).eval()
    proto = to_onnx(export_program(model))
    assert network_nodes(proto)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    faces = drawn_faces(48, "rgb", 16)
    with torch.inference_mode():
        expected = model(torch.from_numpy(faces))[0].numpy()
    assert expected.std(0).max() > 1e-4  # the faces differ
    for count in (1, 3, 16):
        (found,) = session.run([PROBABILITIES], {INPUT: faces[:count]})
        np.testing.assert_allclose(found, expected[:count], atol=LIMITS["float32"])
