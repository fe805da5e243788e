"""The network and the face detection of the package `fer` 25.10.3, as it runs them, for benchmarks/peers.py."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

FER_NETWORK, FER_CASCADE = "emotion_model_quantized.tflite", "haarcascade_frontalface_default.xml"
FER_SIDE, FER_MARGIN, FER_MIN_FACE = 64, 10, 50
"""The network's input, the pixels added around a face, and the smallest face found, as in `fer` by default."""
CLASSES = 7
Probabilities = npt.NDArray[np.float32]


class Fer:
    """The network and the detection of the package `fer`."""

    def __init__(self, data: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._network = Interpreter(str(data / FER_NETWORK))
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]
        self._cascade = cv2.CascadeClassifier(str(data / FER_CASCADE))

    def predict_faces(self, crops: npt.NDArray[np.uint8]) -> Probabilities:
        """Return the probabilities of the seven emotions of grey face crops (N, H, W): one call a face."""
        found = []
        for crop in crops:
            face = (cv2.resize(crop, (FER_SIDE, FER_SIDE)).astype(np.float32) / 255 - 0.5) * 2
            self._network.set_tensor(self._input, face[None, :, :, None])
            self._network.invoke()
            found.append(self._network.get_tensor(self._output)[0])
        return np.array(found, np.float32)

    def predict(self, photograph: npt.NDArray[np.uint8]) -> Probabilities:
        """Return the probabilities for the faces of a photograph, RGB."""
        grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)
        boxes = self._cascade.detectMultiScale(grey, 1.1, 5, 0, (FER_MIN_FACE, FER_MIN_FACE))
        faces = []
        for x, y, width, height in boxes:
            top, left = max(0, y - FER_MARGIN), max(0, x - FER_MARGIN)
            faces.append(grey[top : y + height + FER_MARGIN, left : x + width + FER_MARGIN])
        return np.concatenate([self.predict_faces(face[None]) for face in faces]) if faces else np.empty((0, CLASSES))
