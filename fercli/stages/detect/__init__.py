"""`fer detect`: a dataset of faces from photographs and videos."""
