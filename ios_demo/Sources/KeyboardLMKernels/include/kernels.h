// The inner loops of the network on the processor. Nothing here allocates, and every length is the caller's to check.
#ifndef KEYBOARD_LM_KERNELS_H
#define KEYBOARD_LM_KERNELS_H

#include <stdint.h>

/// Rounds a row of weights to 8 bits; `scale` is what 1 stands for.
void klm_round_weights(const float *row, long count, int8_t *rounded, float *scale);

/// Rounds a vector to 13 bits with sign, so that sums of its products with weights are exact; `scale` is what 1 stands for.
void klm_round_vector(const float *vector, long count, int16_t *rounded, float *scale);

/// Writes products of rounded rows `first ..< end` with rounded vectors: y[vector * rows + row]. `columns` is at most 4096.
void klm_multiply(const int8_t *weights, const float *row_scales, long first, long end, long rows, long columns,
                  const int16_t *vectors, const float *vector_scales, long count, float *y);

/// Mixes the values of the slots that one query sees: out(D) of keys and values (S, D).
///
/// The first `length` slots are seen; of those behind, up to `stop`, the ones that `seen` says, or all where it is NULL.
void klm_attend(const float *query, const float *keys, const float *values, const uint8_t *seen, long length, long stop,
                long head, float scale, float *scores, float *out);

/// out = silu(gate) * up.
void klm_gate(const float *gate, const float *up, long count, float *out);

/// Scales a vector to a root mean square of 1, and by weights.
void klm_normalize(float *x, const float *weight, long count, float epsilon);

/// Writes the probabilities of logits, by a sum in double precision: one of floats is off by 1e-5 over a vocabulary.
void klm_probabilities(const float *logits, long count, float *out);

#endif
