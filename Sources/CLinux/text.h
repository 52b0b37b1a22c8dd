// Sixteen bytes of a JSON text in one look, which Swift's vectors have no word for: a bit for each byte that compares. No library.
#pragma once
#include <stdint.h>
#include <string.h>

// A bit for each of sixteen bytes that is a quote, a backslash or a control character: a byte at a time, for processors of which no word is
// known here, and for the test of the others.
static inline uint32_t sluice_json_stops_plain(const uint8_t *bytes) {
    uint32_t stops = 0;
    for (int index = 0; index < 16; index++) {
        uint8_t byte = bytes[index];
        stops |= (uint32_t)(byte == 0x22 || byte == 0x5C || byte < 0x20) << index;
    }
    return stops;
}

// The same while the bytes are copied; in the upper half a bit for each that is not ASCII.
static inline uint32_t sluice_json_copy_plain(uint8_t *target, const uint8_t *bytes) {
    uint32_t others = 0;
    for (int index = 0; index < 16; index++) others |= (uint32_t)(bytes[index] >> 7) << index;
    memcpy(target, bytes, 16);
    return sluice_json_stops_plain(bytes) | others << 16;
}

// Sixteen bytes of any text, copied: a bit for each that is not ASCII, or zero.
static inline uint32_t sluice_text_copy_plain(uint8_t *target, const uint8_t *bytes) {
    uint32_t marks = 0;
    for (int index = 0; index < 16; index++) marks |= (uint32_t)(bytes[index] >= 0x80 || bytes[index] == 0) << index;
    memcpy(target, bytes, 16);
    return marks;
}

#if defined(__SSE2__)
#include <emmintrin.h>

static inline uint32_t sluice_json_stops(const uint8_t *bytes) {
    __m128i text = _mm_loadu_si128((const __m128i *)bytes);
    __m128i quotes = _mm_cmpeq_epi8(text, _mm_set1_epi8(0x22));
    __m128i backslashes = _mm_cmpeq_epi8(text, _mm_set1_epi8(0x5C));
    __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1F)), text);
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls));
}

static inline uint32_t sluice_json_copy(uint8_t *target, const uint8_t *bytes) {
    __m128i text = _mm_loadu_si128((const __m128i *)bytes);
    _mm_storeu_si128((__m128i *)target, text);
    return sluice_json_stops(bytes) | (uint32_t)_mm_movemask_epi8(text) << 16;
}

static inline uint32_t sluice_text_copy(uint8_t *target, const uint8_t *bytes) {
    __m128i text = _mm_loadu_si128((const __m128i *)bytes);
    _mm_storeu_si128((__m128i *)target, text);
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(text, _mm_cmpeq_epi8(text, _mm_setzero_si128())));
}
#else
static inline uint32_t sluice_text_copy(uint8_t *target, const uint8_t *bytes) { return sluice_text_copy_plain(target, bytes); }
static inline uint32_t sluice_json_stops(const uint8_t *bytes) { return sluice_json_stops_plain(bytes); }
static inline uint32_t sluice_json_copy(uint8_t *target, const uint8_t *bytes) { return sluice_json_copy_plain(target, bytes); }
#endif
