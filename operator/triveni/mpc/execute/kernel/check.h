/* Whether a record can be executed: every element that it touches lies inside the arena, and it is an operation that
 * tape.h knows. It is what stands between a wrong tape and the memory of the process. */
#ifndef TRIVENI_CHECK_H
#define TRIVENI_CHECK_H

#include "record.h"

#define MAX_NUMBER ((int64_t)1 << 40) /* of an offset, dimension, stride or product of dimensions */

static int in_range(int64_t value, int64_t low, int64_t high) { return low <= value && value <= high; }

static int64_t size_of(int64_t kind) { return kind == KIND_WORD ? 8 : 1; }

/* Operand o, of `size`-byte elements, walked over `ndim` axes, stays inside the arena. */
static int operand_inside(const record *r, int o, int64_t size, int64_t arena)
{
    int64_t low = 0, high = 0; /* of the element number; at most 6 * 2^80 if it were not for the overflow checks */
    for (int64_t i = 0; i < r->ndim; i++) {
        int64_t span;
        if (__builtin_mul_overflow(r->axes[i].dim - 1, r->axes[i].stride[o], &span)) return 0;
        if (__builtin_add_overflow(span < 0 ? low : high, span, span < 0 ? &low : &high)) return 0;
    }
    if (!in_range(low, -arena, 0) || !in_range(high, 0, arena)) return 0;
    if (!in_range(r->offset[o], 0, arena) || r->offset[o] % size) return 0;
    return r->offset[o] + low * size >= 0 && r->offset[o] + (high + 1) * size <= arena;
}

/* A contiguous run of `count` elements of operand o stays inside the arena. */
static int run_inside(const record *r, int o, int64_t size, int64_t count, int64_t arena)
{
    if (!in_range(r->offset[o], 0, arena) || r->offset[o] % size) return 0;
    return count <= (arena - r->offset[o]) / size;
}

static int operands_inside(const record *r, int inputs, int64_t size, int64_t arena)
{
    for (int o = DST; o <= inputs; o++)
        if (!operand_inside(r, o, size, arena)) return 0;
    return 1;
}

static int check_matmul(const record *r, int64_t arena)
{
    if (r->ndim < 3 || r->kind != KIND_WORD) return 0;
    const axis *m = &r->axes[r->ndim - 3], *k = m + 1, *n = m + 2;
    /* Rows may lie apart; along them elements are neighbours. */
    if (n->stride[DST] != 1 || k->stride[A] != 1 || n->stride[B] != 1) return 0;
    if (k->stride[DST] || n->stride[A] || m->stride[B]) return 0;
    return operands_inside(r, B, 8, arena);
}

static int check_planes(const record *r, int64_t arena)
{
    if (r->ndim != 2) return 0;
    int64_t rows = r->axes[0].dim, count = r->axes[1].dim;
    if (!in_range(r->extra, 1, MAX_NUMBER / rows)) return 0;
    if (r->op == OP_BITSLICE) {
        if (r->kind != KIND_BYTE || count != (r->extra + 7) / 8) return 0;
        return run_inside(r, DST, 1, 64 * rows * count, arena) && run_inside(r, A, 8, rows * r->extra, arena);
    }
    if (r->kind != KIND_BIT || r->extra != (count + 7) / 8) return 0;
    return run_inside(r, DST, 1, rows * count, arena) && run_inside(r, A, 1, rows * r->extra, arena);
}

/* Operations on rows of residues: for each operand the size of an element, and elements in a row (0: not there). */
static int check_rows(const record *r, int64_t arena)
{
    static const struct {
        int64_t kind, size[OPERANDS], row[OPERANDS], extra_low, extra_high;
    } forms[] = {
        /* residues */ {KIND_BYTE, {1, 8, 1, 1}, {COLUMNS, DRAW_WORDS, 0, 0}, 2, 255},
        /* deal_bits */ {KIND_BYTE, {1, 8, 1, 1}, {COLUMNS, 1, COLUMNS, 0}, 0, 0},
        /* compare */ {KIND_BYTE, {1, 8, 1, 1}, {COLUMNS, 1, COLUMNS, 1}, 0, 1},
        /* blind */ {KIND_BYTE, {1, 1, 1, 1}, {COLUMNS, COLUMNS, COLUMNS, COLUMNS}, 0, 1},
        /* rotate */ {KIND_BYTE, {1, 1, 1, 1}, {COLUMNS, COLUMNS, 1, 0}, 0, 0},
        /* has_zero */ {KIND_BIT, {1, 1, 1, 1}, {1, COLUMNS, COLUMNS, 0}, 0, 0},
    };
    const int64_t form = r->op - OP_RESIDUES;
    if (r->ndim != 1 || r->kind != forms[form].kind) return 0;
    if (!in_range(r->extra, forms[form].extra_low, forms[form].extra_high)) return 0;
    for (int o = DST; o < OPERANDS; o++)
        if (forms[form].row[o] && !run_inside(r, o, forms[form].size[o], r->axes[0].dim * forms[form].row[o], arena))
            return 0;
    return 1;
}

static int check_record(const record *r, int64_t arena)
{
    int64_t count = 1;
    if (!in_range(r->op, 0, OPS - 1) || !in_range(r->kind, 0, KINDS - 1) || !in_range(r->ndim, 1, MAX_DIMS)) return 0;
    for (int64_t i = 0; i < r->ndim; i++) {
        if (!in_range(r->axes[i].dim, 1, MAX_NUMBER / count)) return 0;
        count *= r->axes[i].dim;
    }
    switch (r->op) {
    case OP_ADD: case OP_SUB: case OP_MUL: case OP_AND: case OP_OR: case OP_XOR: case OP_SHL: case OP_SAR:
        return operands_inside(r, B, size_of(r->kind), arena);
    case OP_SHR:
        return r->kind == KIND_WORD && operands_inside(r, B, 8, arena);
    case OP_SELECT:
        return operands_inside(r, B, size_of(r->kind), arena) && operand_inside(r, C, 1, arena);
    case OP_CAST:
        return in_range(r->extra, 0, KINDS - 1) && operand_inside(r, DST, size_of(r->kind), arena)
            && operand_inside(r, A, size_of(r->extra), arena);
    case OP_COPY:
        return operands_inside(r, A, size_of(r->kind), arena);
    case OP_SUM:
        return r->kind == KIND_WORD && operands_inside(r, A, 8, arena);
    case OP_MATMUL:
        return check_matmul(r, arena);
    case OP_BITSLICE: case OP_BITUNSLICE:
        return check_planes(r, arena);
    default:
        return check_rows(r, arena);
    }
}

#endif
