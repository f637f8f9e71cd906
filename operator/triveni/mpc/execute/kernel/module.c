/* triveni.mpc.execute._kernel: executes tapes (record.h) over an arena. See docs/engine.md.
 *
 *   check(tape, arena_bytes) -> int          number of the first record that must not be executed, or -1
 *   run(tape, first, count, arena) -> None   executes records of a checked tape; without the GIL
 *   wipe_stack() -> None                     overwrites what computations have left on the calling thread's stack
 *   variants() -> tuple[str, ...]            instruction sets that this processor has, slowest first
 *   use(variant) -> None                     choose one; the last of them is chosen at import
 *
 * tape.h is compiled once plain and, on x86-64, for newer instruction sets. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <stdint.h>
#include <string.h>

#include "check.h"
#include "record.h"

#if defined(__clang__)
#define IVDEP _Pragma("clang loop vectorize(assume_safety)")
#define STRINGS(x) _Pragma(#x)
#define TARGET_BEGIN(features) STRINGS(clang attribute push(__attribute__((target(features))), apply_to = function))
#define TARGET_END _Pragma("clang attribute pop")
#else
#define IVDEP _Pragma("GCC ivdep")
#define STRINGS(x) _Pragma(#x)
#define TARGET_BEGIN(features) _Pragma("GCC push_options") STRINGS(GCC target(features))
#define TARGET_END _Pragma("GCC pop_options")
#endif

__extension__ typedef unsigned __int128 wide;

typedef void (*runner)(const record *, int64_t, char *);

#define TILE_SPLIT 0
#define FN(name) name##_plain
#if defined(__x86_64__)
#include <immintrin.h>
#define LANES 2
#define TILE_ROWS 2
#define TILE_VECTORS 2
#else /* arm64 and others: no vector product of 64-bit words, but many scalar registers */
#define LANES 1
#define TILE_ROWS 4
#define TILE_VECTORS 4
#endif
#include "tape.h"
#undef FN
#undef LANES
#undef TILE_ROWS
#undef TILE_VECTORS
#undef TILE_SPLIT

#if defined(__x86_64__)
TARGET_BEGIN("avx2,bmi,bmi2,fma")
#define FN(name) name##_avx2
#define LANES 4
#define TILE_ROWS 4
#define TILE_VECTORS 1
#define TILE_SPLIT 1
#include "tape.h"
#undef FN
#undef LANES
#undef TILE_ROWS
#undef TILE_VECTORS
#undef TILE_SPLIT
TARGET_END

TARGET_BEGIN("avx2,bmi,bmi2,fma,avx512f,avx512dq,avx512bw,avx512vl")
#define FN(name) name##_avx512
#define LANES 8
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define TILE_SPLIT 0
#include "tape.h"
#undef FN
TARGET_END
#endif

typedef struct {
    const char *name;
    runner run;
} variant;

enum { MAX_VARIANTS = 3 };
static variant known[MAX_VARIANTS]; /* what this processor has */
static int known_count;
static runner chosen;

static void detect(void)
{
    known_count = 0;
    known[known_count++] = (variant){"plain", run_plain};
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
                  && __builtin_cpu_supports("fma");
    if (avx2) known[known_count++] = (variant){"avx2", run_avx2};
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        known[known_count++] = (variant){"avx512", run_avx512};
#endif
    chosen = known[known_count - 1].run;
}

/* The records of a tape; NULL with an exception set if the buffer cannot be one. */
static const record *records(const Py_buffer *tape, Py_ssize_t *count)
{
    if (tape->len % (Py_ssize_t)sizeof(record) || (uintptr_t)tape->buf % sizeof(int64_t)) {
        PyErr_SetString(PyExc_ValueError, "a tape is whole records, aligned to words");
        return NULL;
    }
    *count = tape->len / (Py_ssize_t)sizeof(record);
    return tape->buf;
}

static PyObject *kernel_check(PyObject *self, PyObject *args)
{
    Py_buffer tape;
    long long arena;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*L", &tape, &arena)) return NULL;
    Py_ssize_t count = 0, i = 0;
    const record *r = records(&tape, &count);
    const int sane = in_range(arena, 0, MAX_NUMBER);
    if (r && sane)
        while (i < count && check_record(&r[i], arena)) i++;
    PyBuffer_Release(&tape);
    if (!r) return NULL;
    return PyLong_FromSsize_t(sane && i == count ? -1 : i);
}

static PyObject *kernel_run(PyObject *self, PyObject *args)
{
    Py_buffer tape, arena;
    Py_ssize_t first, count, all = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*nnw*", &tape, &first, &count, &arena)) return NULL;
    const record *r = records(&tape, &all);
    int good = r != NULL;
    if (good && (first < 0 || count < 0 || first > all || count > all - first || (uintptr_t)arena.buf % 8)) {
        PyErr_SetString(PyExc_ValueError, "records outside the tape, or an arena that is not aligned to words");
        good = 0;
    }
    if (good) {
        const runner run = chosen;
        Py_BEGIN_ALLOW_THREADS
        run(r + first, count, arena.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&tape);
    PyBuffer_Release(&arena);
    if (!good) return NULL;
    Py_RETURN_NONE;
}

enum { STACK_BYTES = 1 << 16 }; /* more than the frames of all records' computations together */

static PyObject *kernel_wipe_stack(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    volatile char stack[STACK_BYTES];
    for (int i = 0; i < STACK_BYTES; i++) stack[i] = 0;
    Py_RETURN_NONE;
}

static PyObject *kernel_variants(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    PyObject *names = PyTuple_New(known_count);
    for (int i = 0; names && i < known_count; i++) {
        PyObject *name = PyUnicode_FromString(known[i].name);
        if (!name || PyTuple_SetItem(names, i, name)) Py_CLEAR(names);
    }
    return names;
}

static PyObject *kernel_use(PyObject *self, PyObject *args)
{
    const char *name;
    (void)self;
    if (!PyArg_ParseTuple(args, "s", &name)) return NULL;
    for (int i = 0; i < known_count; i++)
        if (!strcmp(known[i].name, name)) {
            chosen = known[i].run;
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_ValueError, "this processor has no variant '%s'", name);
}

static PyMethodDef methods[] = {
    {"check", kernel_check, METH_VARARGS, "check(tape, arena_bytes): the first bad record, or -1"},
    {"run", kernel_run, METH_VARARGS, "run(tape, first, count, arena): execute records of a checked tape"},
    {"wipe_stack", kernel_wipe_stack, METH_NOARGS, "wipe_stack(): overwrite what is left on this thread's stack"},
    {"variants", kernel_variants, METH_NOARGS, "variants(): instruction sets of this processor, slowest first"},
    {"use", kernel_use, METH_VARARGS, "use(variant): choose an instruction set"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_kernel", "Executes tapes.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void)
{
    detect();
    return PyModule_Create(&definition);
}
