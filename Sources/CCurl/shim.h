// What Swift imports of libcurl, and static inline functions for what it cannot import (macros, variadic calls).
// The names are in parentheses to pass by curl's type-checking macros, which want a constant option.
#pragma once
#include <curl/curl.h>

static inline CURLcode sluice_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }

static inline CURLcode sluice_curl_set_long(CURL *handle, CURLoption option, long value)
{
    return (curl_easy_setopt)(handle, option, value);
}

static inline CURLcode sluice_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value)
{
    return (curl_easy_setopt)(handle, option, value);
}

/// curl copies the text, except for CURLOPT_POSTFIELDS.
static inline CURLcode sluice_curl_set_text(CURL *handle, CURLoption option, const char *value)
{
    return (curl_easy_setopt)(handle, option, value);
}

/// Borrowed until the transfer is over.
static inline CURLcode sluice_curl_set_pointer(CURL *handle, CURLoption option, const void *value)
{
    return (curl_easy_setopt)(handle, option, value);
}

static inline CURLcode sluice_curl_on_write(CURL *handle, curl_write_callback callback, void *context)
{
    CURLcode code = (curl_easy_setopt)(handle, CURLOPT_WRITEFUNCTION, callback);
    return code != CURLE_OK ? code : (curl_easy_setopt)(handle, CURLOPT_WRITEDATA, context);
}

/// The callback gets each whole header line; the last one is empty.
static inline CURLcode sluice_curl_on_header(CURL *handle, curl_write_callback callback, void *context)
{
    CURLcode code = (curl_easy_setopt)(handle, CURLOPT_HEADERFUNCTION, callback);
    return code != CURLE_OK ? code : (curl_easy_setopt)(handle, CURLOPT_HEADERDATA, context);
}

static inline CURLcode sluice_curl_on_progress(CURL *handle, curl_xferinfo_callback callback, void *context)
{
    CURLcode code = (curl_easy_setopt)(handle, CURLOPT_XFERINFOFUNCTION, callback);
    if (code == CURLE_OK)
        code = (curl_easy_setopt)(handle, CURLOPT_XFERINFODATA, context);
    return code != CURLE_OK ? code : (curl_easy_setopt)(handle, CURLOPT_NOPROGRESS, 0L);
}

static inline CURLcode sluice_curl_on_socket(CURL *handle, curl_sockopt_callback callback)
{
    return (curl_easy_setopt)(handle, CURLOPT_SOCKOPTFUNCTION, callback);
}

static inline CURLcode sluice_curl_get_long(CURL *handle, CURLINFO info, long *value)
{
    return (curl_easy_getinfo)(handle, info, value);
}

static inline CURLcode sluice_curl_get_offset(CURL *handle, CURLINFO info, curl_off_t *value)
{
    return (curl_easy_getinfo)(handle, info, value);
}

/// The text belongs to the handle and lives until its next use.
static inline CURLcode sluice_curl_get_text(CURL *handle, CURLINFO info, char **value)
{
    return (curl_easy_getinfo)(handle, info, value);
}
