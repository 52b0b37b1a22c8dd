// What Swift imports of OpenSSL, and static inline functions for what it cannot import (macros).
#pragma once
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline long sluice_tls_least(SSL_CTX *context, int version) { return SSL_CTX_set_min_proto_version(context, version); }
static inline long sluice_tls_name(SSL *session, const char *name) { return SSL_set_tlsext_host_name(session, name); }
static inline int sluice_tls_curves(SSL_CTX *context, const char *list) { return (int)SSL_CTX_set1_curves_list(context, list); }
static inline int sluice_tls_signatures(SSL_CTX *context, const char *list) { return (int)SSL_CTX_set1_sigalgs_list(context, list); }
static inline long sluice_bio_pending(BIO *bio) { return (long)BIO_ctrl_pending(bio); }
