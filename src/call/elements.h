/* The numbers of an array as doubles, row after row, whatever their type, strides and byte order: what
 * a call reads of a caller's array. */
#ifndef MF_ELEMENTS_H
#define MF_ELEMENTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum {
    MF_NO_ELEMENT, /* of a type that is not read here */
    MF_FLOAT64,
    MF_FLOAT32,
    MF_FLOAT16,
    MF_LONG_DOUBLE,
    MF_INT8,
    MF_INT16,
    MF_INT32,
    MF_INT64,
    MF_UINT8,
    MF_UINT16,
    MF_UINT32,
    MF_UINT64
} mf_element;

typedef struct {
    mf_element type;
    int swapped; /* the bytes of a number are in the order that this machine does not use */
    const char *data;
    int n_axes;
    const ptrdiff_t *shape, *strides; /* strides in bytes */
} mf_elements;

static inline int mf_is_big_endian(void) {
    const uint16_t one = 1;
    return !*(const unsigned char *)&one;
}

static inline mf_element mf_sized(size_t size, mf_element of_1, mf_element of_2, mf_element of_4,
                                  mf_element of_8) {
    switch (size) {
    case 1: return of_1;
    case 2: return of_2;
    case 4: return of_4;
    case 8: return of_8;
    default: return MF_NO_ELEMENT;
    }
}

/* Says of what type the numbers are: `format` is the struct module's letter, with or without a byte
 * order before it, size the bytes of one. */
static void mf_set_format(mf_elements *e, const char *format, size_t size) {
    static const char orders[] = "@=<>!^";
    e->type = MF_NO_ELEMENT;
    e->swapped = 0;
    if (format == NULL || *format == 0) return;
    if (strchr(orders, *format) != NULL) {
        const int big = mf_is_big_endian();
        e->swapped = size > 1 && (*format == '<' ? big : (*format == '>' || *format == '!') && !big);
        format++;
    }
    if (*format == 0 || format[1] != 0) return;
    if (strchr("bhilq", *format) != NULL)
        e->type = mf_sized(size, MF_INT8, MF_INT16, MF_INT32, MF_INT64);
    else if (strchr("BHILQ", *format) != NULL)
        e->type = mf_sized(size, MF_UINT8, MF_UINT16, MF_UINT32, MF_UINT64);
    else if (strchr("efd", *format) != NULL)
        e->type = mf_sized(size, MF_NO_ELEMENT, MF_FLOAT16, MF_FLOAT32, MF_FLOAT64);
    else if (*format == '?' && size == 1)
        e->type = MF_UINT8;
    else if (*format == 'g' && size == sizeof(long double) && !e->swapped)
        e->type = MF_LONG_DOUBLE;
}

/* Whether they are doubles that can be read where they are, apart from the strides. */
static inline int mf_is_plain(const mf_elements *e) {
    return e->type == MF_FLOAT64 && !e->swapped && (uintptr_t)e->data % sizeof(double) == 0;
}

static inline uint8_t mf_swapped_8(uint8_t x) { return x; }
static inline uint16_t mf_swapped_16(uint16_t x) { return (uint16_t)(x << 8 | x >> 8); }
static inline uint32_t mf_swapped_32(uint32_t x) {
    return (uint32_t)mf_swapped_16((uint16_t)x) << 16 | mf_swapped_16((uint16_t)(x >> 16));
}
static inline uint64_t mf_swapped_64(uint64_t x) {
    return (uint64_t)mf_swapped_32((uint32_t)x) << 32 | mf_swapped_32((uint32_t)(x >> 32));
}

typedef struct { /* the last two axes */
    const char *data;
    ptrdiff_t n_rows, n_columns, row_stride, column_stride;
} mf_table;

/* mf_read_NAME: a table of numbers of a type to doubles. Where they lie side by side the distance is a
 * constant, which compilers make vector code of. */
#define MF_READER(name, type, bits)                                                                  \
    static inline double mf_load_##name(const char *from, int swapped) {                             \
        uint##bits##_t raw;                                                                          \
        type x;                                                                                      \
        memcpy(&raw, from, sizeof raw);                                                              \
        if (swapped) raw = mf_swapped_##bits(raw);                                                   \
        memcpy(&x, &raw, sizeof x);                                                                  \
        return (double)x;                                                                            \
    }                                                                                                \
    MF_TABLE_READER(name, type)

#define MF_TABLE_READER(name, type)                                                                  \
    static double *mf_read_##name(double *to, const mf_table *t, int swapped) {                      \
        for (ptrdiff_t r = 0; r < t->n_rows; r++, to += t->n_columns) {                              \
            const char *from = t->data + r * t->row_stride;                                          \
            if (t->column_stride == (ptrdiff_t)sizeof(type) && !swapped)                             \
                for (ptrdiff_t c = 0; c < t->n_columns; c++)                                         \
                    to[c] = mf_load_##name(from + c * (ptrdiff_t)sizeof(type), 0);                   \
            else                                                                                     \
                for (ptrdiff_t c = 0; c < t->n_columns; c++)                                         \
                    to[c] = mf_load_##name(from + c * t->column_stride, swapped);                    \
        }                                                                                            \
        return to;                                                                                   \
    }

MF_READER(float64, double, 64)
MF_READER(float32, float, 32)
MF_READER(int8, int8_t, 8)
MF_READER(int16, int16_t, 16)
MF_READER(int32, int32_t, 32)
MF_READER(int64, int64_t, 64)
MF_READER(uint8, uint8_t, 8)
MF_READER(uint16, uint16_t, 16)
MF_READER(uint32, uint32_t, 32)
MF_READER(uint64, uint64_t, 64)

/* IEEE's half: sign, 5 bits of exponent, 10 of fraction. */
static inline double mf_load_float16(const char *from, int swapped) {
    uint16_t raw;
    memcpy(&raw, from, sizeof raw);
    if (swapped) raw = mf_swapped_16(raw);
    const int exponent = raw >> 10 & 31, fraction = raw & 1023;
    const double x = exponent == 31 ? (fraction ? NAN : INFINITY)
                     : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                    : ldexp(fraction, -24);
    return raw >> 15 ? -x : x;
}
MF_TABLE_READER(float16, uint16_t)

static inline double mf_load_long_double(const char *from, int swapped) {
    long double x;
    (void)swapped;
    memcpy(&x, from, sizeof x);
    return (double)x;
}
MF_TABLE_READER(long_double, long double)

#undef MF_READER
#undef MF_TABLE_READER

static double *mf_read_table(double *to, const mf_table *t, mf_element type, int swapped) {
    switch (type) {
    case MF_FLOAT64: return mf_read_float64(to, t, swapped);
    case MF_FLOAT32: return mf_read_float32(to, t, swapped);
    case MF_FLOAT16: return mf_read_float16(to, t, swapped);
    case MF_LONG_DOUBLE: return mf_read_long_double(to, t, swapped);
    case MF_INT8: return mf_read_int8(to, t, swapped);
    case MF_INT16: return mf_read_int16(to, t, swapped);
    case MF_INT32: return mf_read_int32(to, t, swapped);
    case MF_INT64: return mf_read_int64(to, t, swapped);
    case MF_UINT8: return mf_read_uint8(to, t, swapped);
    case MF_UINT16: return mf_read_uint16(to, t, swapped);
    case MF_UINT32: return mf_read_uint32(to, t, swapped);
    case MF_UINT64: return mf_read_uint64(to, t, swapped);
    default: return to;
    }
}

static double *mf_read_axes(double *to, const mf_elements *e, const char *data, int axis) {
    const int left = e->n_axes - axis;
    const ptrdiff_t *shape = e->shape + axis, *strides = e->strides + axis;
    mf_table t = {data, 1, 1, 0, 0};
    if (left > 2) {
        for (ptrdiff_t k = 0; k < shape[0]; k++)
            to = mf_read_axes(to, e, data + k * strides[0], axis + 1);
        return to;
    }
    if (left > 0) t.n_columns = shape[left - 1], t.column_stride = strides[left - 1];
    if (left > 1) t.n_rows = shape[0], t.row_stride = strides[0];
    if (t.row_stride == t.n_columns * t.column_stride) { /* one row after the other */
        t.n_columns *= t.n_rows;
        t.n_rows = 1;
    }
    return mf_read_table(to, &t, e->type, e->swapped);
}

/* All of them, to as many doubles. */
static inline void mf_read_elements(double *to, const mf_elements *e) {
    mf_read_axes(to, e, e->data, 0);
}

#endif
