"""What a model learns from another: distillation, few bits, written messages, time boxes."""
