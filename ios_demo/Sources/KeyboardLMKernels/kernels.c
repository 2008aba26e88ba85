#include "kernels.h"

#include <math.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// A polynomial of the exponential's fraction, 1e-7 near; unlike the library's it is computed for several values at once.
static inline float exponential(float x) {
    x = x > -87.0f ? x : -87.0f;  // also where it is no number: damaged weights must not end in a conversion that C leaves open
    x = x < 88.0f ? x : 88.0f;
    float whole = floorf(x * 1.44269504f + 0.5f);
    float rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    float sum = 1.9875691500e-4f;
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.0f;
    union { int32_t bits; float value; } power = {((int32_t)whole + 127) << 23};
    return sum * power.value;
}

static float largest_of(const float *values, long count) {
    float largest = 0;
    for (long place = 0; place < count; place++) {
        float size = fabsf(values[place]);
        largest = size > largest ? size : largest;
    }
    return largest;
}

// A whole number between two bounds, the lower one for what is no number.
static inline float within(float value, float most) {
    value = value > -most ? value : -most;
    return rintf(value < most ? value : most);
}

void klm_round_weights(const float *row, long count, int8_t *rounded, float *scale) {
    float largest = largest_of(row, count), factor = largest > 0 ? 127.0f / largest : 0;
    *scale = largest / 127.0f;
    for (long place = 0; place < count; place++) rounded[place] = (int8_t)within(row[place] * factor, 127.0f);
}

void klm_round_vector(const float *vector, long count, int16_t *rounded, float *scale) {
    // 4096 products of 127 with 4095 stay below 2^31.
    float largest = largest_of(vector, count), factor = largest > 0 ? 4095.0f / largest : 0;
    *scale = largest / 4095.0f;
    for (long place = 0; place < count; place++) rounded[place] = (int16_t)within(vector[place] * factor, 4095.0f);
}

static inline int32_t dot_rest(const int8_t *weights, const int16_t *x, long from, long columns) {
    int32_t sum = 0;
    for (long column = from; column < columns; column++) sum += (int32_t)weights[column] * x[column];
    return sum;
}

#if defined(__AVX2__)
static inline int32_t sum_of(__m256i lanes) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

static inline __m256i wide(const int8_t *weights) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)weights)); }

static inline __m256i loaded(const int16_t *x) { return _mm256_loadu_si256((const __m256i *)x); }

static inline int32_t dot(const int8_t *weights, const int16_t *x, long columns) {
    __m256i even = _mm256_setzero_si256(), odd = even;
    long column = 0;
    for (; column + 32 <= columns; column += 32) {
        even = _mm256_add_epi32(even, _mm256_madd_epi16(wide(weights + column), loaded(x + column)));
        odd = _mm256_add_epi32(odd, _mm256_madd_epi16(wide(weights + column + 16), loaded(x + column + 16)));
    }
    return sum_of(_mm256_add_epi32(even, odd)) + dot_rest(weights, x, column, columns);
}

// Two rows and four vectors at once: each weight is read and widened once for all four, each vector once for both rows.
static inline void dot2x4(const int8_t *weights, const int16_t *x, long columns, int32_t *sums) {
    __m256i a0 = _mm256_setzero_si256(), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    long column = 0;
    for (; column + 16 <= columns; column += 16) {
        __m256i a = wide(weights + column), b = wide(weights + columns + column);
        __m256i x0 = loaded(x + column), x1 = loaded(x + columns + column);
        __m256i x2 = loaded(x + 2 * columns + column), x3 = loaded(x + 3 * columns + column);
        a0 = _mm256_add_epi32(a0, _mm256_madd_epi16(a, x0)), b0 = _mm256_add_epi32(b0, _mm256_madd_epi16(b, x0));
        a1 = _mm256_add_epi32(a1, _mm256_madd_epi16(a, x1)), b1 = _mm256_add_epi32(b1, _mm256_madd_epi16(b, x1));
        a2 = _mm256_add_epi32(a2, _mm256_madd_epi16(a, x2)), b2 = _mm256_add_epi32(b2, _mm256_madd_epi16(b, x2));
        a3 = _mm256_add_epi32(a3, _mm256_madd_epi16(a, x3)), b3 = _mm256_add_epi32(b3, _mm256_madd_epi16(b, x3));
    }
    const __m256i lanes[8] = {a0, a1, a2, a3, b0, b1, b2, b3};
    for (int k = 0; k < 8; k++)
        sums[k] = sum_of(lanes[k]) + dot_rest(weights + k / 4 * columns, x + k % 4 * columns, column, columns);
}
#else
// Sums of whole numbers have no order, so that a compiler makes vectors of them by itself.
static inline int32_t dot(const int8_t *weights, const int16_t *x, long columns) { return dot_rest(weights, x, 0, columns); }

static inline void dot2x4(const int8_t *weights, const int16_t *x, long columns, int32_t *sums) {
    for (int row = 0; row < 2; row++) {
        const int8_t *of_row = weights + row * columns;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (long column = 0; column < columns; column++) {
            int32_t weight = of_row[column];
            a += weight * x[column];
            b += weight * x[columns + column];
            c += weight * x[2 * columns + column];
            d += weight * x[3 * columns + column];
        }
        sums[4 * row] = a, sums[4 * row + 1] = b, sums[4 * row + 2] = c, sums[4 * row + 3] = d;
    }
}
#endif

void klm_multiply(const int8_t *weights, const float *row_scales, long first, long end, long rows, long columns,
                  const int16_t *vectors, const float *vector_scales, long count, float *y) {
    long vector = 0;
    for (; vector + 4 <= count; vector += 4) {
        const int16_t *four = vectors + vector * columns;
        long row = first;
        for (; row + 2 <= end; row += 2) {
            int32_t sums[8];
            dot2x4(weights + row * columns, four, columns, sums);
            for (int k = 0; k < 8; k++)
                y[(vector + k % 4) * rows + row + k / 4] = (float)sums[k] * (row_scales[row + k / 4] * vector_scales[vector + k % 4]);
        }
        for (; row < end; row++)
            for (int k = 0; k < 4; k++)
                y[(vector + k) * rows + row] =
                    (float)dot(weights + row * columns, four + k * columns, columns) * (row_scales[row] * vector_scales[vector + k]);
    }
    for (; vector < count; vector++)
        for (long row = first; row < end; row++)
            y[vector * rows + row] =
                (float)dot(weights + row * columns, vectors + vector * columns, columns) * (row_scales[row] * vector_scales[vector]);
}

static inline float product_of(const float *a, const float *b, long count) {
#pragma clang fp reassociate(on) contract(fast)
    float sum = 0;
    for (long place = 0; place < count; place++) sum += a[place] * b[place];
    return sum;
}

void klm_attend(const float *query, const float *keys, const float *values, const uint8_t *seen, long length, long stop,
                long head, float scale, float *scores, float *out) {
    float largest = -INFINITY, total = 0;
    for (long slot = 0; slot < stop; slot++) {
        scores[slot] = -INFINITY;
        if (seen && slot >= length && !seen[slot - length]) continue;
        scores[slot] = product_of(query, keys + slot * head, head) * scale;
        largest = scores[slot] > largest ? scores[slot] : largest;
    }
    for (long slot = 0; slot < stop; slot++) scores[slot] = exponential(scores[slot] - largest);
    for (long slot = 0; slot < stop; slot++) {
        if (seen && slot >= length && !seen[slot - length]) scores[slot] = 0;
        total += scores[slot];
    }
    for (long channel = 0; channel < head; channel++) out[channel] = 0;
    for (long slot = 0; slot < stop; slot++) {
        float share = scores[slot] / total;
        const float *value = values + slot * head;
        for (long channel = 0; channel < head; channel++) out[channel] += share * value[channel];
    }
}

void klm_gate(const float *gate, const float *up, long count, float *out) {
    for (long place = 0; place < count; place++) out[place] = gate[place] / (1.0f + exponential(-gate[place])) * up[place];
}

void klm_normalize(float *x, const float *weight, long count, float epsilon) {
    float factor = 1.0f / sqrtf(product_of(x, x, count) / (float)count + epsilon);
    for (long place = 0; place < count; place++) x[place] *= factor * weight[place];
}

// Several at once: a compiler may not do so by itself, since one of the values might be no number.
static float largest_logit(const float *logits, long count) {
    float lanes[32];
    for (int lane = 0; lane < 32; lane++) lanes[lane] = -INFINITY;
    long place = 0;
    for (; place + 32 <= count; place += 32)
        for (int lane = 0; lane < 32; lane++) lanes[lane] = logits[place + lane] > lanes[lane] ? logits[place + lane] : lanes[lane];
    float largest = -INFINITY;
    for (; place < count; place++) largest = logits[place] > largest ? logits[place] : largest;
    for (int lane = 0; lane < 32; lane++) largest = lanes[lane] > largest ? lanes[lane] : largest;
    return largest;
}

void klm_probabilities(const float *logits, long count, float *out) {
    float largest = largest_logit(logits, count);
    for (long place = 0; place < count; place++) out[place] = exponential(logits[place] - largest);
    double total = 0;
    {
#pragma clang fp reassociate(on)
        for (long place = 0; place < count; place++) total += (double)out[place];
    }
    float sum = (float)total;
    for (long place = 0; place < count; place++) out[place] /= sum;
}
