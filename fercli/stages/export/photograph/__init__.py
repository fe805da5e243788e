"""One ONNX graph from a photograph to the emotions of its faces: YuNet, its decoding, the crops, and the classifier.

The graph repeats what OpenCV and fercli compute, rounding included: crops equal those of `fercli.faces.cropping` pixel
by pixel. torch.export cannot express it, since every face is warped at a size of its own, so it is built from ONNX's
operators, by `Nodes`.
"""
