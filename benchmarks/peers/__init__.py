"""Others who do the same work: the 2019 method, masked dense networks, ONNX, DeepSparse."""
