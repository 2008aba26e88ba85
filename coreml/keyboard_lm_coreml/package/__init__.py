"""A Core ML package as a file: protobuf, program, weights, the names in it."""
