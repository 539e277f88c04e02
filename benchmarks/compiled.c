/* The training kernel in C, with the loops that modscope/training/kernel.py had at first: three products that pass over
 * inactive neurons, in blocks of 64 pairs. Built by compiled.py, which gives NEURONS (filled up to words of 64) and
 * ROW (registers of 16 floats in a row of answers). */

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define BLOCK 64
#define WORDS (NEURONS / 64)
#define ANSWERS (16 * ROW)
#define COLUMNS (NEURONS + ANSWERS)
#define MASKED (-1e30f)

typedef float reg __attribute__((vector_size(64), aligned(4)));
typedef int lanes __attribute__((vector_size(64), aligned(4)));
typedef int64_t i64;

struct tables { const float *base, *left, *right, *weights_left, *weights_right, *C; };
struct grads { float *base, *left, *right, *weights_left, *weights_right, *C; };
struct scratch { float *block, *back; uint64_t *active, *square, *by_neuron; i64 *counts; };

static inline reg get(const float *x) { return *(const reg *)x; }
static inline void put(float *x, reg v) { *(reg *)x = v; }

static inline float sum(reg v) {
    float s[16], t = 0;
    memcpy(s, &v, 64);
    for (int i = 0; i < 8; i++) s[i] += s[i + 8];
    for (int i = 0; i < 4; i++) s[i] += s[i + 4];
    t = (s[0] + s[2]) + (s[1] + s[3]);
    return t;
}

static inline uint64_t positive_bits(reg v) {
#ifdef __AVX512F__
    return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_GT_OQ);
#else
    uint64_t bits = 0;
    for (int i = 0; i < 16; i++) bits |= (uint64_t)(v[i] > 0) << i;
    return bits;
#endif
}

static inline float exp_of(float x) {
    float inside = x > -46.0f ? x : 0.0f;
    int32_t n = (int32_t)(inside * 1.44269504f - 0.5f);
    float turns = (float)n, f = inside - turns * 0.693359375f + turns * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * f + 1.3981999507e-3f;
    y = y * f + 8.3334519073e-3f;
    y = y * f + 4.1665795894e-2f;
    y = y * f + 1.6666665459e-1f;
    y = y * f + 5.0000001201e-1f;
    y = y * f * f + f + 1.0f;
    union { int32_t i; float f; } scale = { (n + 127) << 23 };
    return x > -46.0f ? y * scale.f : 0.0f;
}

#define FILL(WIDTH, STORE)                                                                              \
    {                                                                                                   \
        reg u[WIDTH];                                                                                   \
        for (int k = 0; k < WIDTH; k++) u[k] = get(t->base + column + 16 * k);                          \
        for (int term = 0; term < terms; term++) {                                                      \
            const float *l = t->left + (term * p + a) * COLUMNS + column;                               \
            const float *r = t->right + (term * p + b) * COLUMNS + column;                              \
            float wl = t->weights_left[pair * terms + term], wr = t->weights_right[pair * terms + term]; \
            for (int k = 0; k < WIDTH; k++) u[k] += wl * get(l + 16 * k);                               \
            for (int k = 0; k < WIDTH; k++) u[k] += wr * get(r + 16 * k);                               \
        }                                                                                               \
        STORE                                                                                           \
    }

static inline void fill_block(const struct scratch *s, i64 start, int count, const i64 *as, const i64 *bs,
                              const struct tables *t, i64 p, int terms) {
    for (int row = 0; row < count; row++) {
        i64 pair = start + row, a = as[pair], b = bs[pair];
        float *out = s->block + row * COLUMNS;
        for (int column = 0; column < NEURONS; column += 64)
            FILL(4, {
                uint64_t bits = 0;
                for (int k = 0; k < 4; k++) {
                    bits |= positive_bits(u[k]) << (16 * k);
                    put(out + column + 16 * k, (reg)((lanes)u[k] & (u[k] > 0)));
                }
                s->active[row * WORDS + column / 64] = bits;
            })
        for (int column = NEURONS; column < COLUMNS; column += ANSWERS)
            FILL(ROW, { for (int k = 0; k < ROW; k++) put(out + column + 16 * k, u[k]); })
    }
}

static inline void add_logits(const struct scratch *s, int count, const float *C) {
    for (int word = 0; word < WORDS; word++)
        for (int row = 0; row < count; row++) {
            float *out = s->block + row * COLUMNS;
            reg logits[ROW];
            for (int k = 0; k < ROW; k++) logits[k] = get(out + NEURONS + 16 * k);
            uint64_t bits = s->active[row * WORDS + word];
            while (bits) {
                int neuron = word * 64 + __builtin_ctzll(bits);
                bits &= bits - 1;
                float x = out[neuron];
                const float *c = C + neuron * ANSWERS;
                for (int k = 0; k < ROW; k++) logits[k] += x * get(c + 16 * k);
            }
            for (int k = 0; k < ROW; k++) put(out + NEURONS + 16 * k, logits[k]);
        }
}

static inline double softmax_row(float *logits, i64 label, i64 last, float share, i64 *right) {
    float top = 0;
    for (int j = 0; j < ANSWERS; j++) top = logits[j] > top ? logits[j] : top;
    float own = 0, others = 0;
    if (label < last) {
        own = logits[label];
        logits[label] = MASKED;
        others = exp_of(-top);
    }
    for (int j = 0; j < ANSWERS; j++) {
        float e = exp_of(logits[j] - top);
        logits[j] = e;
        others += e;
    }
    float mine = exp_of(own - top), factor = share / (others + mine);
    for (int j = 0; j < ANSWERS; j++) logits[j] *= factor;
    if (label < last) logits[label] = -others * factor;
    if (own >= top) {
        (*right)++;
        return log1p((double)others);
    }
    return log((double)others + (double)mine) + (double)top - (double)own;
}

static inline void transpose_bits(const struct scratch *s, int count) {
    for (int word = 0; word < WORDS; word++) {
        uint64_t *square = s->square;
        for (int row = 0; row < 64; row++) square[row] = row < count ? s->active[row * WORDS + word] : 0;
        uint64_t mask = 0x00000000FFFFFFFFull;
        for (int size = 32; size; size >>= 1, mask ^= mask << size)
            for (int row = 0; row < 64; row = (row + size + 1) & ~size) {
                uint64_t swap = ((square[row] >> size) ^ square[row + size]) & mask;
                square[row] ^= swap << size;
                square[row + size] ^= swap;
            }
        memcpy(s->by_neuron + word * 64, square, sizeof(uint64_t) * 64);
    }
}

/* The sums of four registers, in lanes 0, 4, 8 and 12. */
static inline reg four_sums(reg a, reg b, reg c, reg d) {
    const lanes low8 = {0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23};
    const lanes low4 = {0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27};
    const lanes by2 = {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13};
    const lanes by1 = {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14};
    reg ab = __builtin_shuffle(a, b, low8) + __builtin_shuffle(a, b, low8 + 8);
    reg cd = __builtin_shuffle(c, d, low8) + __builtin_shuffle(c, d, low8 + 8);
    reg four = __builtin_shuffle(ab, cd, low4) + __builtin_shuffle(ab, cd, low4 + 4);
    four += __builtin_shuffle(four, by2);
    return four + __builtin_shuffle(four, by1);
}

/* Adds x times the logits to grad; returns a register whose sum is the scalar product of c and the logits. */
static inline reg back_one(const reg *c, reg *grad, float x, const float *logits) {
    reg sums[2] = {{0}, {0}};
    for (int k = 0; k < ROW; k++) {
        reg l = get(logits + 16 * k);
        grad[k] += x * l;
        sums[k % 2] += c[k] * l;
    }
    return sums[0] + sums[1];
}

static inline void back_through_neurons(const struct scratch *s, const float *C, float *grad_C) {
    for (int neuron = 0; neuron < NEURONS; neuron++) {
        reg c[ROW], grad[ROW];
        for (int k = 0; k < ROW; k++) c[k] = get(C + neuron * ANSWERS + 16 * k);
        for (int k = 0; k < ROW; k++) grad[k] = get(grad_C + neuron * ANSWERS + 16 * k);
        uint64_t bits = s->by_neuron[neuron];
        for (int fours = __builtin_popcountll(bits) / 4; fours; fours--) {
            int rows[4];
            reg products[4];
            for (int i = 0; i < 4; i++) {
                rows[i] = __builtin_ctzll(bits);
                bits &= bits - 1;
                const float *at = s->block + rows[i] * COLUMNS;
                products[i] = back_one(c, grad, at[neuron], at + NEURONS);
            }
            reg sums = four_sums(products[0], products[1], products[2], products[3]);
            for (int i = 0; i < 4; i++) s->back[rows[i] * COLUMNS + neuron] += sums[4 * i];
        }
        while (bits) {
            int row = __builtin_ctzll(bits);
            bits &= bits - 1;
            const float *at = s->block + row * COLUMNS;
            s->back[row * COLUMNS + neuron] += sum(back_one(c, grad, at[neuron], at + NEURONS));
        }
        for (int k = 0; k < ROW; k++) put(grad_C + neuron * ANSWERS + 16 * k, grad[k]);
    }
}

static inline void back_to_weights(const struct scratch *s, i64 start, int count, const i64 *as, const i64 *bs,
                                   const struct tables *t, const struct grads *g, i64 p, int terms) {
    for (int row = 0; row < count; row++) {
        i64 pair = start + row;
        const float *back = s->back + row * COLUMNS;
        for (int term = 0; term < terms; term++) {
            const float *l = t->left + (term * p + as[pair]) * COLUMNS;
            const float *r = t->right + (term * p + bs[pair]) * COLUMNS;
            reg of_left[4] = {{0}}, of_right[4] = {{0}};
            for (int column = 0; column < COLUMNS - COLUMNS % 64; column += 64)
                for (int k = 0; k < 4; k++) {
                    reg d = get(back + column + 16 * k);
                    of_left[k] += d * get(l + column + 16 * k);
                    of_right[k] += d * get(r + column + 16 * k);
                }
            for (int column = COLUMNS - COLUMNS % 64; column < COLUMNS; column += 16) {
                reg d = get(back + column);
                of_left[0] += d * get(l + column);
                of_right[0] += d * get(r + column);
            }
            g->weights_left[pair * terms + term] = sum((of_left[0] + of_left[1]) + (of_left[2] + of_left[3]));
            g->weights_right[pair * terms + term] = sum((of_right[0] + of_right[1]) + (of_right[2] + of_right[3]));
        }
    }
}

#define BACK(WIDTH)                                                                                     \
    {                                                                                                   \
        reg whole[WIDTH];                                                                               \
        for (int k = 0; k < WIDTH; k++) whole[k] = get(g->base + column + 16 * k);                      \
        for (int row = 0; row < count; row++) {                                                         \
            i64 pair = start + row;                                                                     \
            reg d[WIDTH];                                                                               \
            for (int k = 0; k < WIDTH; k++) d[k] = get(s->back + row * COLUMNS + column + 16 * k);      \
            for (int k = 0; k < WIDTH; k++) whole[k] += d[k];                                           \
            for (int term = 0; term < terms; term++) {                                                  \
                float wl = t->weights_left[pair * terms + term], wr = t->weights_right[pair * terms + term]; \
                float *l = g->left + (term * p + as[pair]) * COLUMNS + column;                          \
                float *r = g->right + (term * p + bs[pair]) * COLUMNS + column;                         \
                for (int k = 0; k < WIDTH; k++) put(l + 16 * k, get(l + 16 * k) + wl * d[k]);           \
                for (int k = 0; k < WIDTH; k++) put(r + 16 * k, get(r + 16 * k) + wr * d[k]);           \
            }                                                                                           \
        }                                                                                               \
        for (int k = 0; k < WIDTH; k++) put(g->base + column + 16 * k, whole[k]);                       \
    }

static inline void back_to_columns(const struct scratch *s, i64 start, int count, const i64 *as, const i64 *bs,
                                   const struct tables *t, const struct grads *g, i64 p, int terms) {
    for (int column = 0; column < NEURONS; column += 64) BACK(4)
    for (int column = NEURONS; column < COLUMNS; column += ANSWERS) BACK(ROW)
}

double pair_gradients(i64 first, i64 last, const i64 *as, const i64 *bs, const i64 *labels,
                      const struct tables *t, const struct grads *g, const struct scratch *s, i64 last_answer,
                      float share, i64 p, i64 terms, i64 *right) {
    memset(g->base, 0, sizeof(float) * COLUMNS);
    memset(g->left, 0, sizeof(float) * terms * p * COLUMNS);
    memset(g->right, 0, sizeof(float) * terms * p * COLUMNS);
    memset(g->C, 0, sizeof(float) * NEURONS * ANSWERS);
    memset(s->counts, 0, sizeof(i64) * NEURONS);
    double loss = 0;
    *right = 0;
    for (i64 start = first; start < last; start += BLOCK) {
        int count = last - start < BLOCK ? (int)(last - start) : BLOCK;
        fill_block(s, start, count, as, bs, t, p, (int)terms);
        add_logits(s, count, t->C);
        for (int row = 0; row < count; row++) {
            float *at = s->block + row * COLUMNS;
            loss += softmax_row(at + NEURONS, labels[start + row], last_answer, share, right);
            memset(s->back + row * COLUMNS, 0, sizeof(float) * NEURONS);
            memcpy(s->back + row * COLUMNS + NEURONS, at + NEURONS, sizeof(float) * ANSWERS);
        }
        transpose_bits(s, count);
        for (int neuron = 0; neuron < NEURONS; neuron++) s->counts[neuron] += __builtin_popcountll(s->by_neuron[neuron]);
        back_through_neurons(s, t->C, g->C);
        back_to_weights(s, start, count, as, bs, t, g, p, (int)terms);
        back_to_columns(s, start, count, as, bs, t, g, p, (int)terms);
    }
    return loss;
}
