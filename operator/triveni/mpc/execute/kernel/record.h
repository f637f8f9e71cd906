/* One record of a tape: one operation over arrays that lie in the arena. tape.py writes this format, check.h says which
 * records are good, tape.h executes them.
 *
 * A record is 40 signed 64-bit words. Offsets are in bytes from the start of the arena, strides in elements. The walk is
 * the same for all operands: element (i0, i1, ...) of operand o lies at offset[o] + size_o * (i0*stride[0][o] + ...). */
#ifndef TRIVENI_RECORD_H
#define TRIVENI_RECORD_H

#include <stdint.h>

enum { MAX_DIMS = 6, OPERANDS = 4 };

/* Operands: the result, then the inputs in order. */
enum { DST, A, B, C };

typedef struct {
    int64_t dim;
    int64_t stride[OPERANDS];
} axis;

typedef struct {
    int64_t op;
    int64_t kind;  /* type of the result: see below */
    int64_t ndim;
    int64_t extra; /* cast: kind of the input; bitslice: words in a row; bitunslice: bytes in a row; residues: modulus;
                    * compare, blind: role; else 0 */
    int64_t offset[OPERANDS];
    axis axes[MAX_DIMS];
    int64_t unused[2];
} record;

_Static_assert(sizeof(record) == 40 * sizeof(int64_t), "tape.py counts on 40 words");

/* Element types; `bit` is a byte that is 0 or 1. */
enum { KIND_WORD, KIND_BYTE, KIND_BIT, KINDS };

enum {
    OP_ADD, OP_SUB, OP_MUL, OP_AND, OP_OR, OP_XOR,
    OP_SHL, OP_SHR, OP_SAR,          /* by a count for each element; counts outside the width shift everything out */
    OP_SELECT,                       /* dst = c ? a : b, c of bits */
    OP_CAST,
    OP_COPY,
    OP_SUM,                          /* dst += a; dst has stride 0 along the summed axes */
    OP_MATMUL,                       /* last three axes are M, K, N; those before are a batch */
    OP_BITSLICE,                     /* axes: rows, bytes in a row of a plane; 64 planes */
    OP_BITUNSLICE,                   /* axes: rows, bits in a row */
    /* One axis, of rows; all operands are dense. comparison.py says what they are. */
    OP_RESIDUES, OP_DEAL_BITS, OP_COMPARE, OP_BLIND, OP_ROTATE, OP_HAS_ZERO,
    OPS
};

/* Rows of residues: bytes in a row, their modulus, and the words of a draw that make one. */
enum { COLUMNS = 32, MODULUS = 37, DRAW_WORDS = 4 };

#endif
