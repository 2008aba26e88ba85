"""From text to a trained model: corpus, tokenizer, teacher, student."""
