"""A checkpoint in other runtimes' formats: ONNX, Hugging Face, MLX, GGUF."""
