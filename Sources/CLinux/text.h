// Sixteen bytes of a JSON text in one look, which Swift's vectors have no word for: a bit for each byte that compares. No library.
#pragma once
#include <stddef.h>
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

// The quotes of a whole JSON document of 64 bytes or more: bit i of `marks` for byte i, and one more behind the last byte, for who looks
// for the next one. Says what else a walk from quote to quote would have to know: 1, there are bytes that are not ASCII; 2, there are
// backslashes or control characters, and not every quote ends a string. The last word is made of the last 64 bytes: none behind is read.
static inline uint32_t sluice_json_quotes_plain(const uint8_t *bytes, size_t count, uint64_t *marks) {
    uint32_t other = 0;
    memset(marks, 0, (count / 64 + 1) * 8);
    for (size_t index = 0; index < count; index++) {
        uint8_t byte = bytes[index];
        marks[index / 64] |= (uint64_t)(byte == 0x22) << (index % 64);
        other |= (byte >= 0x80 ? 1 : 0) | (byte == 0x5C || byte < 0x20 ? 2 : 0);
    }
    marks[count / 64] |= (uint64_t)1 << (count % 64);
    return other;
}

#if defined(__SSE2__)
#include <emmintrin.h>

static inline uint64_t sluice_json_quotes_of(const uint8_t *bytes, __m128i *high, __m128i *stops) {
    uint64_t quotes = 0;
    for (int part = 0; part < 4; part++) {
        __m128i text = _mm_loadu_si128((const __m128i *)(bytes + 16 * part));
        quotes |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(0x22))) << (16 * part);
        __m128i backslashes = _mm_cmpeq_epi8(text, _mm_set1_epi8(0x5C));
        __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1F)), text);
        *high = _mm_or_si128(*high, text);
        *stops = _mm_or_si128(*stops, _mm_or_si128(backslashes, controls));
    }
    return quotes;
}

static inline uint32_t sluice_json_quotes(const uint8_t *bytes, size_t count, uint64_t *marks) {
    __m128i high = _mm_setzero_si128(), stops = _mm_setzero_si128();
    size_t whole = count / 64, rest = count % 64;
    for (size_t word = 0; word < whole; word++) marks[word] = sluice_json_quotes_of(bytes + 64 * word, &high, &stops);
    marks[whole] = (uint64_t)1 << rest;
    if (rest > 0) marks[whole] |= sluice_json_quotes_of(bytes + count - 64, &high, &stops) >> (64 - rest);
    return (_mm_movemask_epi8(high) != 0 ? 1 : 0) | (_mm_movemask_epi8(stops) != 0 ? 2 : 0);
}

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
static inline uint32_t sluice_json_quotes(const uint8_t *bytes, size_t count, uint64_t *marks) {
    return sluice_json_quotes_plain(bytes, count, marks);
}
static inline uint32_t sluice_text_copy(uint8_t *target, const uint8_t *bytes) { return sluice_text_copy_plain(target, bytes); }
static inline uint32_t sluice_json_stops(const uint8_t *bytes) { return sluice_json_stops_plain(bytes); }
static inline uint32_t sluice_json_copy(uint8_t *target, const uint8_t *bytes) { return sluice_json_copy_plain(target, bytes); }
#endif
