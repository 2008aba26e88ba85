"""The same model in other projects' formats: Hugging Face folders, MLX, GGUF; and a check that all of them agree."""
