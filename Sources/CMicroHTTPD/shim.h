// What Swift imports of libmicrohttpd, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <stdbool.h>
#include <string.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>

/// Starts a daemon with one polling thread and one thread per connection on a socket that already listens.
/// `key` and `certificate` are PEM texts, or both NULL for plain HTTP; with `trust`, the PEM text of authorities, clients
/// are asked for a certificate, which the handshake does not judge. All must outlive the daemon.
static inline struct MHD_Daemon *sluice_mhd_start(
    int listening, unsigned int connection_limit, unsigned int idle_seconds, size_t connection_memory_bytes,
    size_t stack_bytes, const char *key, const char *certificate, const char *trust,
    MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed, MHD_NotifyConnectionCallback connection_changed, void *context)
{
    unsigned int flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) key},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {trust != NULL ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, (void *) trust},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    if (key != NULL)
        flags |= MHD_USE_TLS;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handler, context,
        MHD_OPTION_LISTEN_SOCKET, listening,
        MHD_OPTION_CONNECTION_LIMIT, connection_limit,
        MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory_bytes,
        MHD_OPTION_THREAD_STACK_SIZE, stack_bytes,
        MHD_OPTION_NOTIFY_COMPLETED, completed, context,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, context,
        MHD_OPTION_ARRAY, key != NULL ? tls : none,
        MHD_OPTION_END);
}

/// The socket of a connection, valid until its `MHD_CONNECTION_NOTIFY_CLOSED` returns.
static inline int sluice_mhd_socket(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/// Closes the connection after this long without a byte, in either direction.
static inline void sluice_mhd_set_idle(struct MHD_Connection *connection, unsigned int seconds)
{
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

/// How many certificates a PEM text of authorities holds; the daemon takes one without any, and then trusts nobody.
static inline int sluice_tls_authority_count(const char *pem)
{
    gnutls_certificate_credentials_t credentials;
    if (gnutls_certificate_allocate_credentials(&credentials) != GNUTLS_E_SUCCESS)
        return 0;
    gnutls_datum_t text = {(unsigned char *) pem, (unsigned int) strlen(pem)};
    int count = gnutls_certificate_set_x509_trust_mem(credentials, &text, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    return count;
}

/// Whether the peer showed a certificate that the daemon's authorities vouch for today. False for plain HTTP.
static inline bool sluice_mhd_peer_is_verified(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info == NULL || info->tls_session == NULL)
        return false;
    gnutls_session_t session = (gnutls_session_t) info->tls_session;
    unsigned int count = 0;
    unsigned int status = 0;
    if (gnutls_certificate_get_peers(session, &count) == NULL || count == 0)
        return false;
    return gnutls_certificate_verify_peers2(session, &status) == GNUTLS_E_SUCCESS && status == 0;
}
