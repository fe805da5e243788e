"""The table of models with fixed names. Imported without torch.

To add one: a file for its family with a build function, a `ModelSpec` here, a recipe in fercli/recipes. The common
suite in tests/models/test_registry.py covers all models in the table.
"""

from __future__ import annotations

from typing import Any

from fercli.emotions import EMOTIONS
from fercli.models.probes import PROBE
from fercli.models.spec import GRAY_MEAN, GRAY_STD, IMAGENET_MEAN, IMAGENET_STD, ModelSpec

_OWN: dict[str, Any] = {
    "paper": "fercli",
    "input_size": 48,
    "smallest": 8,
    "mean": GRAY_MEAN,
    "std": GRAY_STD,
    "reduced_size": 32,
}
"""Common properties of the models designed here."""

QUICK = (
    ModelSpec(
        name="quick",
        family="quick",
        build="fercli.models.quick:build",
        parameters=619_367,
        gradcam="stages",
        backbone=("stem.", "stages."),
        reduced={"inputs": 32, "widths": (32, 64), "depths": (1, 1)},
        options={"attention": ("none", "se", "eca", "cbam")},
        **_OWN,
    ),
    ModelSpec(
        name="quick-vgg",
        family="quick",
        build="fercli.models.quick:build_vgg",
        parameters=652_983,
        gradcam="features",
        backbone=("features.",),
        reduced={"widths": ((8,), (16,), (32,), (64,))},
        **_OWN,
    ),
    ModelSpec(
        name="small",
        family="small",
        build="fercli.models.small:build",
        parameters=2_291_079,
        gradcam="features",
        backbone=("features.",),
        reduced={"stem": 16, "widths": (32, 64)},
        **_OWN,
    ),
)

EMOTIONNET = (
    ModelSpec(
        name="emotionnet",
        family="emotionnet",
        paper="EmotionNet",
        build="fercli.models.emotionnet:build",
        parameters=11_180_201,
        input_size=224,
        gradcam="backbone.layer4",
        smallest=32,
        smallest_why="it halves the side five times, so 32 px leave a map of 1 x 1",
        rename="fercli.models.emotionnet:rename",
        backbone=("backbone.conv1.", "backbone.bn1.", "backbone.layer"),
        reduced={"widths": (32, 64, 128, 128), "depths": (1, 1, 1, 1)},
        reduced_size=48,
        imagenet="resnet18",
        imagenet_prefix="backbone.",
        options={"attention_at": ("layer1", "stem", "layer2", "layer3", "layer4")},
    ),
)


RESEMOTENET = tuple(
    ModelSpec(
        name=name,
        family="resemotenet",
        paper="ResEmoteNet",
        build="fercli.models.resemotenet:build",
        arguments={"channels": channels, "blocks": blocks, "se": name != "resemotenet-c2"},
        parameters=parameters,
        input_size=64,
        gradcam="se",  # 8 x 8; the blocks after it reduce a face of 64 px to 1 x 1
        recipe="resemotenet",
        rename="fercli.models.resemotenet:rename",
        authors_mark="res_block1.",
        # From their scripts for images and cameras, and the header of their table of scores.
        authors_emotions=("happy", "surprise", "sad", "angry", "disgust", "fear", "neutral"),
        backbone=("features.", "blocks."),
        reduced={
            "channels": tuple(width // 4 for width in channels),
            "blocks": tuple(width // 16 for width in blocks),
            "hidden": (64, 32, 32),
        },
        reduced_size=32,
    )
    for name, parameters, channels, blocks in (
        ("resemotenet", 80_238_599, (64, 128, 256), (512, 1024, 2048)),
        ("resemotenet-c2", 80_230_407, (64, 128, 256), (512, 1024, 2048)),
        ("resemotenet-c3", 80_166_407, (128, 256), (512, 1024, 2048)),
        ("resemotenet-c4", 79_874_567, (256,), (512, 1024, 2048)),
        ("resemotenet-c5", 73_942_535, (64, 128, 256), (1024, 2048)),
        ("resemotenet-c6", 46_146_055, (64, 128, 256), (2048,)),
    )
)

UNIT_MEAN, UNIT_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
"""Keep values in 0..1 unchanged."""

RESIDUAL_MASKING = (
    ModelSpec(
        name="resmasking",
        family="residual_masking",
        paper="Residual Masking",
        build="fercli.models.residual_masking:build",
        parameters=137_796_423,
        input_size=224,
        mean=UNIT_MEAN,
        std=UNIT_STD,
        gradcam="masks.3",
        imagenet="resnet34.tv_in1k",  # torchvision's, as used by its authors
        imagenet_prefix="backbone.",
        rename="fercli.models.residual_masking:rename",
        authors_mark="mask1.",
        authors_emotions=EMOTIONS,  # FER2013's order, as in their package
        backbone=("backbone.conv1.", "backbone.bn1.", "backbone.layer"),
        reduced={"layers": (1, 1, 1, 1), "channels": (4, 8, 16, 32)},
        reduced_size=64,
    ),
)

EMONEXT = tuple(
    ModelSpec(
        name=f"emonext-{size}",
        family="emonext",
        paper="EmoNeXt",
        build="fercli.models.emonext:build",
        arguments={"depths": (3, 3, depth, 3), "widths": (width, 2 * width, 4 * width, 8 * width)},
        parameters=parameters,
        input_size=224,
        smallest=32,
        smallest_why="ConvNeXt halves its side five times",
        mean=UNIT_MEAN,
        std=UNIT_STD,
        gradcam="backbone.stages.3",
        recipe="emonext",
        imagenet=f"convnext_{size}.fb_in22k",
        imagenet_prefix="backbone.",
        rename="fercli.models.emonext:rename",
        authors_mark="localization.",
        # Folders named after FER2013's emotions, sorted by torchvision's ImageFolder.
        authors_emotions=("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"),
        backbone=(
            "backbone.stem.",
            "backbone.stages.0.",
            *(
                f"backbone.stages.{stage}.{part}."  # without squeeze-and-excitation, which is not pretrained
                for stage in (1, 2, 3)
                for part in ("downsample.0", "downsample.1", "blocks")
            ),
        ),
        reduced={"depths": (1, 1, 1, 1), "widths": (16, 32, 64, 128), "places": 12},
        reduced_size=64,
        unreached={
            "attention.": "part of the regulariser, which only affects the training loss (its values not even that)"
        },
    )
    for size, parameters, depth, width in (
        ("tiny", 30_564_331, 9, 96),
        ("small", 52_198_891, 27, 96),
        ("base", 91_765_259, 27, 128),
        ("large", 204_582_475, 27, 192),
        ("xlarge", 362_312_331, 27, 256),
    )
)

CENTRED = (0.5, 0.5, 0.5)
PATT_LITE = tuple(
    ModelSpec(
        name=f"patt-lite{variant}",
        family="patt_lite",
        paper="Ensembles" if variant else "PAtt-Lite",
        build="fercli.models.patt_lite:build",
        arguments={"backbone": variant[1:] or "mobilenetv1"},
        parameters=parameters,
        input_size=224,
        mean=mean,
        std=std,
        gradcam="backbone",  # 14 x 14 (MobileNetV3: 7 x 7); the patches after it are 2 x 2
        recipe="patt-lite-mobilenet" if variant else "patt-lite",
        imagenet=weights,
        imagenet_prefix="backbone.",
        backbone=("backbone.",),
        reduced={"cut": cut},
        reduced_size=64,
    )
    # Normalisation depends on the weights, hence the tags; Keras' MobileNetV1 uses the same.
    for variant, parameters, weights, mean, std, cut in (
        ("", 1_093_000, "mobilenetv1_100.ra4_e3600_r224_in1k", CENTRED, CENTRED, (1, 1)),
        ("-mobilenetv2", 1_276_935, "mobilenetv2_100.ra_in1k", IMAGENET_MEAN, IMAGENET_STD, (2, 0)),
        ("-mobilenetv3", 3_812_983, "mobilenetv3_large_100.ra_in1k", IMAGENET_MEAN, IMAGENET_STD, (2, 0)),
    )
)

_REDUCED_FUSION = {
    "side": 32,
    "widths": (16, 32, 64),
    "depths": (1, 1, 1),
    "landmark_depths": (1, 1, 1),
    "channels": 64,
}
"""The small variant of what arbex and poster-v2 have in common."""

ARBEX = (
    ModelSpec(
        name="arbex",
        family="arbex",
        paper="ARBEx",
        build="fercli.models.arbex:build",
        parameters=44_208_227,
        input_size=224,
        gradcam="fusion.2",
        rename="fercli.models.arbex:rename",
        backbone=("image.", "landmarks."),
        reduced={
            **_REDUCED_FUSION,
            "hidden": (32,),
            "anchors": 2,
            "trust_steps": 0,  # so that the balancing also works in a short trial
        },
        reduced_size=32,
    ),
)

POSTER = (
    ModelSpec(
        name="poster-v2",
        family="poster_v2",
        paper="POSTER V2",
        build="fercli.models.poster_v2:build",
        parameters=43_753_941,
        input_size=224,
        gradcam="fusion.2",
        rename="fercli.models.poster_v2:rename",
        backbone=("landmarks.",),  # its authors train IR-50 and freeze the landmark network
        reduced={
            **_REDUCED_FUSION,
        },
        reduced_size=32,
    ),
)

DDAMFN = (
    ModelSpec(
        name="ddamfn",
        family="ddamfn",
        paper="DDAMFN",
        build="fercli.models.ddamfn:build",
        parameters=4_105_999,
        input_size=112,
        gradcam="features",
        rename="fercli.models.ddamfn:rename",
        authors_mark="cat_head0.",
        # From the confusion matrices of their scripts for RAF-DB and AffectNet-7.
        authors_emotions=("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry"),
        backbone=("features.",),
        reduced={"side": 48, "widths": (16, 32, 64), "depths": (1, 2, 1)},
        reduced_size=48,
    ),
)

TABLE: tuple[ModelSpec, ...] = (
    *QUICK,
    *EMOTIONNET,
    *RESEMOTENET,
    *PATT_LITE,
    *RESIDUAL_MASKING,
    *EMONEXT,
    *ARBEX,
    *POSTER,
    *DDAMFN,
    PROBE,
)
"""All of them, in the order of `fer models`."""
