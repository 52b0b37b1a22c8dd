// What Swift imports of libavro, and static inline functions for what it cannot import (its value interface is macros
// over a table of functions; the tests hold our decoder against it).
#pragma once
#include <avro.h>

static inline int sluice_avro_new(avro_schema_t schema, avro_value_t *out) {
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    if (iface == NULL) return -1;
    int code = avro_generic_value_new(iface, out);
    avro_value_iface_decref(iface);
    return code;
}
static inline avro_type_t sluice_avro_type(const avro_value_t *v) { return avro_value_get_type(v); }
static inline avro_schema_t sluice_avro_schema(const avro_value_t *v) { return avro_value_get_schema(v); }

static inline int sluice_avro_set_null(const avro_value_t *v) { return avro_value_set_null(v); }
static inline int sluice_avro_set_boolean(const avro_value_t *v, int x) { return avro_value_set_boolean(v, x); }
static inline int sluice_avro_set_int(const avro_value_t *v, int32_t x) { return avro_value_set_int(v, x); }
static inline int sluice_avro_set_long(const avro_value_t *v, int64_t x) { return avro_value_set_long(v, x); }
static inline int sluice_avro_set_float(const avro_value_t *v, float x) { return avro_value_set_float(v, x); }
static inline int sluice_avro_set_double(const avro_value_t *v, double x) { return avro_value_set_double(v, x); }
static inline int sluice_avro_set_enum(const avro_value_t *v, int x) { return avro_value_set_enum(v, x); }
static inline int sluice_avro_set_bytes(const avro_value_t *v, void *x, size_t n) { return avro_value_set_bytes(v, x, n); }
static inline int sluice_avro_set_fixed(const avro_value_t *v, void *x, size_t n) { return avro_value_set_fixed(v, x, n); }
/* `x` ends with a NUL, and `n` includes it. */
static inline int sluice_avro_set_string(const avro_value_t *v, const char *x, size_t n) {
    return avro_value_set_string_len(v, x, n);
}
static inline int sluice_avro_set_branch(const avro_value_t *v, int branch, avro_value_t *out) {
    return avro_value_set_branch(v, branch, out);
}
static inline int sluice_avro_append(const avro_value_t *v, avro_value_t *out) { return avro_value_append(v, out, NULL); }
static inline int sluice_avro_add(const avro_value_t *v, const char *key, avro_value_t *out) {
    return avro_value_add(v, key, out, NULL, NULL);
}

static inline int sluice_avro_get_boolean(const avro_value_t *v, int *x) { return avro_value_get_boolean(v, x); }
static inline int sluice_avro_get_int(const avro_value_t *v, int32_t *x) { return avro_value_get_int(v, x); }
static inline int sluice_avro_get_long(const avro_value_t *v, int64_t *x) { return avro_value_get_long(v, x); }
static inline int sluice_avro_get_float(const avro_value_t *v, float *x) { return avro_value_get_float(v, x); }
static inline int sluice_avro_get_double(const avro_value_t *v, double *x) { return avro_value_get_double(v, x); }
static inline int sluice_avro_get_enum(const avro_value_t *v, int *x) { return avro_value_get_enum(v, x); }
static inline int sluice_avro_get_bytes(const avro_value_t *v, const void **x, size_t *n) {
    return avro_value_get_bytes(v, x, n);
}
/* `n` includes the closing NUL. */
static inline int sluice_avro_get_string(const avro_value_t *v, const char **x, size_t *n) {
    return avro_value_get_string(v, x, n);
}
static inline int sluice_avro_get_field(const avro_value_t *v, const char *name, avro_value_t *out) {
    return avro_value_get_by_name(v, name, out, NULL);
}
static inline int sluice_avro_get_at(const avro_value_t *v, size_t index, avro_value_t *out) {
    return avro_value_get_by_index(v, index, out, NULL);
}
static inline int sluice_avro_get_branch(const avro_value_t *v, avro_value_t *out) {
    return avro_value_get_current_branch(v, out);
}
