/* Executes records. No include guard: module.c includes this once for each instruction set, with
 *   FN(name)  the name of a function in this variant
 *   LANES     64-bit words in a vector of this variant
 * Words wrap around (-fwrapv); arrays may be read in place of the result at the same element only (IVDEP). */

/* --- walks: `inner` handles the last axis, for every position on the others ----------------------------------- */

typedef void (*FN(inner))(char *const p[OPERANDS], const axis *x);

static inline void FN(step)(char *to[OPERANDS], char *const from[OPERANDS], const axis *x, const int64_t size[OPERANDS],
                            int64_t by)
{
    for (int o = 0; o < OPERANDS; o++) to[o] = from[o] + by * x->stride[o] * size[o];
}

static void FN(walk)(const record *r, int64_t axes, char *const at[OPERANDS], const int64_t size[OPERANDS],
                     FN(inner) inner, const axis *last)
{
    char *p[OPERANDS];
    if (axes == 0) {
        inner(at, last);
        return;
    }
    int64_t index[MAX_DIMS] = {0};
    const axis *x = &r->axes[axes - 1];
    memcpy(p, at, sizeof p);
    for (;;) {
        for (int64_t i = 0; i < x->dim; i++) {
            char *q[OPERANDS];
            FN(step)(q, p, x, size, i);
            inner(q, last);
        }
        int64_t outer = axes - 2;
        while (outer >= 0 && ++index[outer] == r->axes[outer].dim) {
            FN(step)(p, p, &r->axes[outer], size, 1 - r->axes[outer].dim);
            index[outer--] = 0;
        }
        if (outer < 0) return;
        FN(step)(p, p, &r->axes[outer], size, 1);
    }
}

/* --- elementwise ------------------------------------------------------------------------------------------------- */

#define BINARY(NAME, T, E)                                                                                             \
    static void FN(NAME)(char *const p[OPERANDS], const axis *x_)                                                      \
    {                                                                                                                  \
        const int64_t n = x_->dim, sy = x_->stride[DST], sa = x_->stride[A], sb = x_->stride[B];                       \
        T *y = (T *)p[DST];                                                                                            \
        const T *a = (const T *)p[A], *b = (const T *)p[B];                                                            \
        if (sy == 1 && sa == 1 && sb == 1) {                                                                           \
            IVDEP for (int64_t i = 0; i < n; i++) { const T u = a[i], v = b[i]; y[i] = (T)(E); }                       \
        } else if (sy == 1 && sa == 1 && sb == 0) {                                                                    \
            const T v = *b;                                                                                            \
            IVDEP for (int64_t i = 0; i < n; i++) { const T u = a[i]; y[i] = (T)(E); }                                 \
        } else if (sy == 1 && sa == 0 && sb == 1) {                                                                    \
            const T u = *a;                                                                                            \
            IVDEP for (int64_t i = 0; i < n; i++) { const T v = b[i]; y[i] = (T)(E); }                                 \
        } else {                                                                                                       \
            IVDEP for (int64_t i = 0; i < n; i++) { const T u = a[i * sa], v = b[i * sb]; y[i * sy] = (T)(E); }        \
        }                                                                                                              \
    }

#define BOTH(NAME, E) BINARY(NAME##_word, uint64_t, E) BINARY(NAME##_byte, uint8_t, E)

BOTH(add, u + v)
BOTH(sub, u - v)
BOTH(mul, u * v)
BOTH(and, u & v)
BOTH(or, u | v)
BOTH(xor, u ^ v)
BINARY(shl_word, uint64_t, v < 64 ? u << (v & 63) : 0)
BINARY(shl_byte, uint8_t, v < 8 ? u << (v & 7) : 0)
BINARY(shr_word, uint64_t, v < 64 ? u >> (v & 63) : 0)
BINARY(shr_byte, uint8_t, v < 8 ? u >> (v & 7) : 0)
BINARY(sar_word, int64_t, u >> ((uint64_t)v < 64 ? v : 63))

#define SELECT_LOOP(T, SA, SB) IVDEP for (int64_t i = 0; i < n; i++) y[i] = c[i] ? a[i * (SA)] : b[i * (SB)]

#define SELECT(NAME, T)                                                                                                \
    static void FN(NAME)(char *const p[OPERANDS], const axis *x)                                                       \
    {                                                                                                                  \
        const int64_t n = x->dim, sy = x->stride[DST], sa = x->stride[A], sb = x->stride[B], sc = x->stride[C];        \
        T *y = (T *)p[DST];                                                                                            \
        const T *a = (const T *)p[A], *b = (const T *)p[B];                                                            \
        const uint8_t *c = (const uint8_t *)p[C];                                                                      \
        if (sy == 1 && sc == 1 && sa == 1 && sb == 1) SELECT_LOOP(T, 1, 1);                                            \
        else if (sy == 1 && sc == 1 && sa == 1 && sb == 0) SELECT_LOOP(T, 1, 0);                                       \
        else if (sy == 1 && sc == 1 && sa == 0 && sb == 1) SELECT_LOOP(T, 0, 1);                                       \
        else IVDEP for (int64_t i = 0; i < n; i++) y[i * sy] = c[i * sc] ? a[i * sa] : b[i * sb];                      \
    }

SELECT(select_word, uint64_t)
SELECT(select_byte, uint8_t)

#define UNARY(NAME, TA, T, E)                                                                                          \
    static void FN(NAME)(char *const p[OPERANDS], const axis *x)                                                       \
    {                                                                                                                  \
        const int64_t n = x->dim, sy = x->stride[DST], sa = x->stride[A];                                              \
        T *y = (T *)p[DST];                                                                                            \
        const TA *a = (const TA *)p[A];                                                                                \
        if (sy == 1 && sa == 1) {                                                                                      \
            IVDEP for (int64_t i = 0; i < n; i++) { const TA u = a[i]; y[i] = (T)(E); }                                \
        } else {                                                                                                       \
            IVDEP for (int64_t i = 0; i < n; i++) { const TA u = a[i * sa]; y[i * sy] = (T)(E); }                      \
        }                                                                                                              \
    }

UNARY(word_to_byte, uint64_t, uint8_t, u)
UNARY(word_to_bit, uint64_t, uint8_t, u != 0)
UNARY(byte_to_word, uint8_t, uint64_t, u)
UNARY(byte_to_bit, uint8_t, uint8_t, u != 0)

#define COPY(NAME, T)                                                                                                  \
    static void FN(NAME)(char *const p[OPERANDS], const axis *x)                                                       \
    {                                                                                                                  \
        const int64_t n = x->dim, sy = x->stride[DST], sa = x->stride[A];                                              \
        T *y = (T *)p[DST];                                                                                            \
        const T *a = (const T *)p[A];                                                                                  \
        if (sy == 1 && sa == 1) {                                                                                      \
            memmove(y, a, (size_t)n * sizeof(T));                                                                      \
        } else if (sy == 1 && sa == 0) {                                                                               \
            const T u = *a;                                                                                            \
            for (int64_t i = 0; i < n; i++) y[i] = u;                                                                  \
        } else {                                                                                                       \
            IVDEP for (int64_t i = 0; i < n; i++) y[i * sy] = a[i * sa];                                               \
        }                                                                                                              \
    }

COPY(copy_word, uint64_t)
COPY(copy_byte, uint8_t)

static void FN(sum_word)(char *const p[OPERANDS], const axis *x)
{
    const int64_t n = x->dim, sy = x->stride[DST], sa = x->stride[A];
    uint64_t *y = (uint64_t *)p[DST];
    const uint64_t *a = (const uint64_t *)p[A];
    if (sy == 0) {
        uint64_t total = 0;
        for (int64_t i = 0; i < n; i++) total += a[i * sa];
        *y += total;
    } else {
        for (int64_t i = 0; i < n; i++) y[i * sy] += a[i * sa];
    }
}

/* --- matrix product ---------------------------------------------------------------------------------------------- */

#if LANES > 1
typedef uint64_t FN(vec) __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
#else
typedef uint64_t FN(vec);
#endif

enum { FN(PANEL) = TILE_VECTORS * LANES };

/* One tile of `rows` x PANEL words of the product, in registers: dst (+)= a * b over `depth`. `width` words are kept. */
static inline __attribute__((always_inline)) void FN(tile)(const int rows, int64_t depth, const uint64_t *a, int64_t lda,
                                                           const uint64_t *b, int64_t ldb, uint64_t *dst, int64_t ldd,
                                                           int64_t width, int more)
{
    FN(vec) sum[TILE_ROWS][TILE_VECTORS];
    memset(sum, 0, sizeof sum);
#if TILE_SPLIT
    /* Without a 64-bit vector product: low halves in `sum`, the two cross products, 32 bits each, in `cross`. */
    __m256i cross[TILE_ROWS][TILE_VECTORS];
    memset(cross, 0, sizeof cross);
    for (int64_t k = 0; k < depth; k++)
        for (int v = 0; v < TILE_VECTORS; v++) {
            const __m256i y = _mm256_loadu_si256((const __m256i *)(b + k * ldb + v * LANES));
            const __m256i swapped = _mm256_shuffle_epi32(y, 0xB1);
            for (int i = 0; i < rows; i++) {
                const __m256i x = _mm256_set1_epi64x((int64_t)a[i * lda + k]);
                sum[i][v] += (FN(vec))_mm256_mul_epu32(x, y);
                cross[i][v] = _mm256_add_epi32(cross[i][v], _mm256_mullo_epi32(x, swapped));
            }
        }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < TILE_VECTORS; v++) {
            const FN(vec) both = (FN(vec))cross[i][v];
            sum[i][v] += (both << 32) + (both & ~(uint64_t)0xffffffff);
        }
#else
    for (int64_t k = 0; k < depth; k++)
        for (int v = 0; v < TILE_VECTORS; v++) {
            const FN(vec) y = *(const FN(vec) *)(b + k * ldb + v * LANES);
            for (int i = 0; i < rows; i++) sum[i][v] += y * a[i * lda + k];
        }
#endif
    for (int i = 0; i < rows; i++) {
        uint64_t *to = dst + i * ldd, out[FN(PANEL)];
        memcpy(out, sum[i], sizeof out);
        if (more)
            for (int64_t j = 0; j < width; j++) to[j] += out[j];
        else
            for (int64_t j = 0; j < width; j++) to[j] = out[j];
    }
}

/* Tiles of a column of at most PANEL words, all rows, over at most DEPTH of the inner dimension. */
static void FN(column)(int64_t rows, int64_t depth, const uint64_t *a, int64_t lda, const uint64_t *b, int64_t ldb,
                       uint64_t *dst, int64_t ldd, int64_t width, int more)
{
    int64_t i = 0;
    if (width == FN(PANEL))
        for (; i + TILE_ROWS <= rows; i += TILE_ROWS)
            FN(tile)(TILE_ROWS, depth, a + i * lda, lda, b, ldb, dst + i * ldd, ldd, FN(PANEL), more);
    for (; i + TILE_ROWS <= rows; i += TILE_ROWS)
        FN(tile)(TILE_ROWS, depth, a + i * lda, lda, b, ldb, dst + i * ldd, ldd, width, more);
    for (; i < rows; i++) FN(tile)(1, depth, a + i * lda, lda, b, ldb, dst + i * ldd, ldd, width, more);
}

enum { FN(DEPTH) = 128 };

static void FN(matmul)(char *const p[OPERANDS], const axis *x)
{
    const axis *m = x, *k = x + 1, *n = x + 2;
    uint64_t *dst = (uint64_t *)p[DST], panel[FN(DEPTH) * FN(PANEL)];
    const uint64_t *a = (const uint64_t *)p[A], *b = (const uint64_t *)p[B];
    const int64_t ldd = m->stride[DST], lda = m->stride[A], ldb = k->stride[B];
    for (int64_t j = 0; j < n->dim; j += FN(PANEL)) {
        const int64_t width = n->dim - j < FN(PANEL) ? n->dim - j : FN(PANEL);
        for (int64_t from = 0; from < k->dim; from += FN(DEPTH)) {
            const int64_t depth = k->dim - from < FN(DEPTH) ? k->dim - from : FN(DEPTH);
            const uint64_t *columns = b + from * ldb + j;
            int64_t ld = ldb;
            if (width < FN(PANEL)) { /* a tile reads whole vectors: fill them up with zeros */
                memset(panel, 0, sizeof panel);
                for (int64_t i = 0; i < depth; i++)
                    memcpy(panel + i * FN(PANEL), columns + i * ldb, (size_t)width * sizeof *panel);
                columns = panel;
                ld = FN(PANEL);
            }
            FN(column)(m->dim, depth, a + from, lda, columns, ld, dst + j, ldd, width, from > 0);
        }
    }
}

/* --- bit planes -------------------------------------------------------------------------------------------------- */

#define SWAP(BY, MASK)                                                                                                 \
    for (int at = 0; at < 64; at += 2 * (BY))                                                                          \
        for (int i = at; i < at + (BY); i++) {                                                                         \
            const uint64_t t = ((w[i] >> (BY)) ^ w[i + (BY)]) & (MASK);                                                \
            w[i + (BY)] ^= t;                                                                                          \
            w[i] ^= t << (BY);                                                                                         \
        }

/* Bit k of word i becomes bit i of word k (Hacker's Delight, section 7-3). */
static void FN(transpose64)(uint64_t w[64])
{
    SWAP(32, 0x00000000ffffffffu)
    SWAP(16, 0x0000ffff0000ffffu)
    SWAP(8, 0x00ff00ff00ff00ffu)
    SWAP(4, 0x0f0f0f0f0f0f0f0fu)
    SWAP(2, 0x3333333333333333u)
    SWAP(1, 0x5555555555555555u)
}

static void FN(bitslice)(const uint64_t *a, uint8_t *dst, int64_t rows, int64_t words, int64_t bytes)
{
    for (int64_t row = 0; row < rows; row++)
        for (int64_t from = 0; from < words; from += 64) {
            uint64_t w[64] = {0};
            const int64_t left = words - from, room = bytes - from / 8;
            memcpy(w, a + row * words + from, (size_t)(left < 64 ? left : 64) * 8);
            FN(transpose64)(w);
            uint8_t *to = dst + row * bytes + from / 8;
            for (int plane = 0; plane < 64; plane++, to += rows * bytes) {
                if (room >= 8)
                    memcpy(to, &w[plane], 8);
                else
                    for (int64_t i = 0; i < room; i++) to[i] = (uint8_t)(w[plane] >> 8 * i);
            }
        }
}

static void FN(bitunslice)(const uint8_t *a, uint8_t *dst, int64_t rows, int64_t bits, int64_t bytes)
{
    for (int64_t row = 0; row < rows; row++, a += bytes, dst += bits)
        for (int64_t i = 0; i < bytes; i++) {
            /* bit j to byte j, then every byte that is not 0 to 1 */
            const uint64_t spread = (a[i] * 0x0101010101010101u) & 0x8040201008040201u;
            const uint64_t out = ((spread + 0x7f7f7f7f7f7f7f7fu) >> 7) & 0x0101010101010101u;
            const int64_t left = bits - 8 * i;
            if (left >= 8)
                memcpy(dst + 8 * i, &out, 8);
            else
                for (int64_t j = 0; j < left; j++) dst[8 * i + j] = (uint8_t)(out >> 8 * j);
        }
}

/* --- rows of residues: comparison.py ----------------------------------------------------------------------------- */

/* The first 32 digits, in base `modulus`, of the fraction of 2^256 that each draw is; four digits at a time. */
static inline __attribute__((always_inline)) void FN(digits)(const uint64_t *a, uint8_t *dst, int64_t rows,
                                                             const uint32_t modulus)
{
    const uint64_t fourth = (uint64_t)modulus * modulus * modulus * modulus;
    for (int64_t row = 0; row < rows; row++, a += DRAW_WORDS, dst += COLUMNS) {
        uint64_t n[DRAW_WORDS];
        memcpy(n, a, sizeof n);
        for (int column = 0; column < COLUMNS; column += 4) {
            uint64_t carry = 0;
            for (int i = 0; i < DRAW_WORDS; i++) {
                const wide t = (wide)n[i] * fourth + carry;
                n[i] = (uint64_t)t;
                carry = (uint64_t)(t >> 64);
            }
            uint32_t four = (uint32_t)carry;
            for (int i = 3; i >= 0; i--, four /= modulus) dst[column + i] = (uint8_t)(four % modulus);
        }
    }
}

static void FN(residues)(const uint64_t *a, uint8_t *dst, int64_t rows, int64_t modulus)
{
    if (modulus == MODULUS) FN(digits)(a, dst, rows, MODULUS); /* division by a constant is a multiplication */
    else if (modulus == MODULUS - 1) FN(digits)(a, dst, rows, MODULUS - 1);
    else FN(digits)(a, dst, rows, (uint32_t)modulus);
}

enum { FN(BYTES) = 7 * MODULUS, FN(SUMS) = 256 * MODULUS }; /* multiples of it, above a byte and above 32 of them */

static void FN(deal_bits)(const uint64_t *words, const uint8_t *share, uint8_t *dst, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++, share += COLUMNS, dst += COLUMNS) {
        const uint32_t low = (uint32_t)words[row] & 0x7fffffff;
        for (int k = 0; k < COLUMNS; k++) dst[k] = (uint8_t)(((low >> k & 1) + FN(BYTES) - share[k]) % MODULUS);
    }
}

static void FN(compare)(const uint64_t *opened, const uint8_t *share, const uint8_t *beta, uint8_t *dst, int64_t rows,
                        int64_t role)
{
    const int32_t public = role == 0;
    for (int64_t row = 0; row < rows; row++, share += COLUMNS, dst += COLUMNS) {
        const uint32_t s = ((uint32_t)opened[row] & 0x7fffffff) + beta[row];
        const int32_t direction = beta[row] ? -1 : 1;
        int32_t above = FN(SUMS) + public;
        for (int k = COLUMNS - 1; k >= 0; k--) {
            const int32_t bit = s >> k & 1, r = share[k];
            dst[k] = (uint8_t)((uint32_t)(above + (public * bit - r) * direction) % MODULUS);
            above += bit ? public - r : r;
        }
    }
}

static void FN(blind)(const uint8_t *columns, const uint8_t *factor, const uint8_t *shift, uint8_t *dst, int64_t rows,
                      int64_t role)
{
    const int64_t n = rows * COLUMNS;
    if (role == 0)
        IVDEP for (int64_t i = 0; i < n; i++)
            dst[i] = (uint8_t)(((uint32_t)columns[i] * (factor[i] + 1u) + shift[i]) % MODULUS);
    else
        IVDEP for (int64_t i = 0; i < n; i++)
            dst[i] = (uint8_t)(((uint32_t)columns[i] * (factor[i] + 1u) + FN(BYTES) - shift[i]) % MODULUS);
}

static void FN(rotate)(const uint8_t *columns, const uint8_t *by, uint8_t *dst, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++, columns += COLUMNS, dst += COLUMNS) {
        uint8_t twice[2 * COLUMNS]; /* so that the same is copied whatever the rotation is */
        memcpy(twice, columns, COLUMNS);
        memcpy(twice + COLUMNS, columns, COLUMNS);
        memcpy(dst, twice + COLUMNS - by[row] % COLUMNS, COLUMNS);
    }
}

static void FN(has_zero)(const uint8_t *first, const uint8_t *second, uint8_t *dst, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++, first += COLUMNS, second += COLUMNS) {
        uint8_t found = 0;
        for (int k = 0; k < COLUMNS; k++) found |= ((uint32_t)first[k] + second[k]) % MODULUS == 0;
        dst[row] = found;
    }
}

static void FN(rows)(const record *r, char *const at[OPERANDS])
{
    const int64_t rows = r->axes[0].dim;
    uint8_t *dst = (uint8_t *)at[DST];
    const uint64_t *words = (const uint64_t *)at[A];
    const uint8_t *a = (const uint8_t *)at[A], *b = (const uint8_t *)at[B], *c = (const uint8_t *)at[C];
    switch (r->op) {
    case OP_RESIDUES: FN(residues)(words, dst, rows, r->extra); break;
    case OP_DEAL_BITS: FN(deal_bits)(words, b, dst, rows); break;
    case OP_COMPARE: FN(compare)(words, b, c, dst, rows, r->extra); break;
    case OP_BLIND: FN(blind)(a, b, c, dst, rows, r->extra); break;
    case OP_ROTATE: FN(rotate)(a, b, dst, rows); break;
    default: FN(has_zero)(a, b, dst, rows);
    }
}

/* --- the tape ---------------------------------------------------------------------------------------------------- */

static void FN(binary)(const record *r, char *const at[OPERANDS])
{
    static const FN(inner) word[] = {FN(add_word), FN(sub_word), FN(mul_word), FN(and_word), FN(or_word),
                                     FN(xor_word), FN(shl_word), FN(shr_word), FN(sar_word)};
    static const FN(inner) byte[] = {FN(add_byte), FN(sub_byte), FN(mul_byte), FN(and_byte), FN(or_byte),
                                     FN(xor_byte), FN(shl_byte), FN(shr_byte), FN(shr_byte)};
    static const int64_t sizes[2][OPERANDS] = {{8, 8, 8, 8}, {1, 1, 1, 1}};
    const int narrow = r->kind != KIND_WORD;
    FN(walk)(r, r->ndim - 1, at, sizes[narrow], (narrow ? byte : word)[r->op], &r->axes[r->ndim - 1]);
}

static void FN(cast)(const record *r, char *const at[OPERANDS])
{
    static const FN(inner) table[KINDS][KINDS] = {
        /* from a word */ {FN(copy_word), FN(word_to_byte), FN(word_to_bit)},
        /* from a byte */ {FN(byte_to_word), FN(copy_byte), FN(byte_to_bit)},
        /* from a bit  */ {FN(byte_to_word), FN(copy_byte), FN(copy_byte)},
    };
    const int64_t sizes[OPERANDS] = {r->kind == KIND_WORD ? 8 : 1, r->extra == KIND_WORD ? 8 : 1, 0, 0};
    FN(walk)(r, r->ndim - 1, at, sizes, table[r->extra][r->kind], &r->axes[r->ndim - 1]);
}

static void FN(execute)(const record *r, char *arena)
{
    static const int64_t words[OPERANDS] = {8, 8, 8, 1}, bytes[OPERANDS] = {1, 1, 1, 1};
    const int narrow = r->kind != KIND_WORD;
    char *at[OPERANDS];
    const axis *last = &r->axes[r->ndim - 1];
    for (int o = 0; o < OPERANDS; o++) at[o] = arena + r->offset[o];
    switch (r->op) {
    case OP_SELECT:
        FN(walk)(r, r->ndim - 1, at, narrow ? bytes : words, narrow ? FN(select_byte) : FN(select_word), last);
        break;
    case OP_CAST:
        FN(cast)(r, at);
        break;
    case OP_COPY:
        FN(walk)(r, r->ndim - 1, at, narrow ? bytes : words, narrow ? FN(copy_byte) : FN(copy_word), last);
        break;
    case OP_SUM:
        FN(walk)(r, r->ndim - 1, at, words, FN(sum_word), last);
        break;
    case OP_MATMUL:
        FN(walk)(r, r->ndim - 3, at, words, FN(matmul), last - 2);
        break;
    case OP_BITSLICE:
        FN(bitslice)((const uint64_t *)at[A], (uint8_t *)at[DST], r->axes[0].dim, r->extra, r->axes[1].dim);
        break;
    case OP_BITUNSLICE:
        FN(bitunslice)((const uint8_t *)at[A], (uint8_t *)at[DST], r->axes[0].dim, r->axes[1].dim, r->extra);
        break;
    case OP_RESIDUES: case OP_DEAL_BITS: case OP_COMPARE: case OP_BLIND: case OP_ROTATE: case OP_HAS_ZERO:
        FN(rows)(r, at);
        break;
    default:
        FN(binary)(r, at);
    }
}

static void FN(run)(const record *tape, int64_t count, char *arena)
{
    for (int64_t i = 0; i < count; i++) FN(execute)(&tape[i], arena);
}

#undef BINARY
#undef BOTH
#undef SELECT_LOOP
#undef SELECT
#undef UNARY
#undef COPY
#undef SWAP
