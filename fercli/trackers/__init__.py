"""Experiment trackers: TensorBoard, MLflow, Weights & Biases. A tracker shows a run; the run itself is the record.

`table.py` lists them, `base.py` says what one does, `tracking.py` keeps their failures away from the training. Each
tracker is one file, the only one that imports its library.
"""
